import { createHash } from 'node:crypto'
import type { KvUpdate } from '../entry.ts'
import { SnapshotError } from '../errors.ts'
import type { SkippedNames } from '../lineage.ts'
import type { StoreFeatures } from '../store.ts'

const MAX_NAMES = 65_536

/**
 * What a store cannot hold. Under `skip` an oversize value becomes the removal of its key, so that
 * the fold never serves an older value as the current one, and an oversize key is left out. Which keys
 * those are is kept with the fold, as hashes: a restart must not take them for keys that came later.
 */
export class OversizePolicy {
  readonly #policy: 'skip' | 'fail'
  #values = new Set<bigint>()
  #keys = new Set<bigint>()
  #version = 0

  constructor(policy: 'skip' | 'fail') {
    this.#policy = policy
  }

  /** Keys of the bucket that the fold has no value of because of a limit. */
  get skipped(): number {
    return this.#values.size + this.#keys.size
  }

  /** Those that are not even among the store's deleted keys. */
  get unnamed(): number {
    return this.#keys.size
  }

  /** Changes with what `names` gives. */
  get version(): number {
    return this.#version
  }

  /** Whether the fold has no value of this key because of a limit. */
  skips(key: string): boolean {
    if (this.skipped === 0) return false
    const hash = hashOf(key)
    return this.#values.has(hash) || this.#keys.has(hash)
  }

  /** What has to be kept with the fold; undefined while nothing was skipped. */
  get names(): SkippedNames | undefined {
    return this.skipped === 0 ? undefined : { keys: [...this.#keys], values: [...this.#values] }
  }

  /**
   * The updates to hand to the store; SnapshotError `LimitExceeded` under `fail`. In an artifact a key whose value was
   * skipped is among the deleted ones, so that its removal there says nothing new.
   */
  admit(
    updates: readonly KvUpdate[],
    features: StoreFeatures,
    from: 'source' | 'artifact' = 'source',
  ): readonly KvUpdate[] {
    if (this.#values.size === 0 && updates.every((update) => fits(update, features))) return updates
    const admitted: KvUpdate[] = []
    for (const update of updates) {
      const { key } = update
      if (fits(update, features)) {
        const isNews = from === 'source' || update.operation === 'put'
        if (isNews && this.#values.size > 0 && this.#values.delete(hashOf(key))) this.#version++
        admitted.push(update)
        continue
      }
      if (this.#policy === 'fail')
        throw new SnapshotError(
          'LimitExceeded',
          `key ${JSON.stringify(key.slice(0, 200))} is above the store's limits`,
        )
      if (Buffer.byteLength(key) > features.maxKeyBytes) this.#remember(this.#keys, key)
      else {
        this.#remember(this.#values, key)
        admitted.push({ operation: 'delete', key, version: update.version, reason: 'evicted' })
      }
    }
    return admitted
  }

  /** What the fold in use says it skipped; undefined for a fold without such keys, or of another history. */
  restore(names: SkippedNames | undefined): void {
    this.#keys = new Set(names?.keys)
    this.#values = new Set(names?.values)
    this.#version++
  }

  #remember(names: Set<bigint>, key: string): void {
    const { size } = names
    if (size < MAX_NAMES) names.add(hashOf(key))
    if (names.size > size) this.#version++
  }
}

function hashOf(key: string): bigint {
  return createHash('sha256').update(key).digest().readBigUInt64BE()
}

function fits(update: KvUpdate, { maxKeyBytes, maxValueBytes }: StoreFeatures): boolean {
  // A UTF-16 unit is at most three bytes of UTF-8.
  if (update.key.length * 3 > maxKeyBytes && Buffer.byteLength(update.key) > maxKeyBytes) return false
  return update.operation !== 'put' || update.value.length <= maxValueBytes
}

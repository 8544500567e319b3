import type { KvUpdate } from '../entry.ts'
import { SnapshotError } from '../errors.ts'
import type { StoreFeatures } from '../store.ts'

const MAX_NAMES = 65_536

/**
 * What a store cannot hold. Under `skip` an oversize value becomes the removal of its key, so that
 * the fold never serves an older value as the current one, and an oversize key is left out.
 */
export class OversizePolicy {
  readonly #policy: 'skip' | 'fail'
  readonly #skippedValues = new Set<string>()
  readonly #skippedKeys = new Set<string>()

  constructor(policy: 'skip' | 'fail') {
    this.#policy = policy
  }

  /** Keys of the bucket that the fold has no value of because of a limit. */
  get skipped(): number {
    return this.#skippedValues.size + this.#skippedKeys.size
  }

  /** Those that are not even among the store's deleted keys. */
  get unnamed(): number {
    return this.#skippedKeys.size
  }

  /** The updates to hand to the store; SnapshotError `LimitExceeded` under `fail`. */
  admit(updates: readonly KvUpdate[], features: StoreFeatures): readonly KvUpdate[] {
    const clean = this.skipped === 0
    if (clean && updates.every((update) => fits(update, features))) return updates
    const admitted: KvUpdate[] = []
    for (const update of updates) {
      const { key } = update
      if (fits(update, features)) {
        this.#skippedValues.delete(key)
        admitted.push(update)
        continue
      }
      if (this.#policy === 'fail')
        throw new SnapshotError(
          'LimitExceeded',
          `key ${JSON.stringify(key.slice(0, 200))} is above the store's limits`,
        )
      if (Buffer.byteLength(key) > features.maxKeyBytes) remember(this.#skippedKeys, key)
      else {
        remember(this.#skippedValues, key)
        admitted.push({ operation: 'delete', key, version: update.version, reason: 'evicted' })
      }
    }
    return admitted
  }

  /** Another history begins. */
  forget(): void {
    this.#skippedValues.clear()
    this.#skippedKeys.clear()
  }
}

function fits(update: KvUpdate, { maxKeyBytes, maxValueBytes }: StoreFeatures): boolean {
  // A UTF-16 unit is at most three bytes of UTF-8.
  if (update.key.length * 3 > maxKeyBytes && Buffer.byteLength(update.key) > maxKeyBytes) return false
  return update.operation !== 'put' || update.value.length <= maxValueBytes
}

function remember(names: Set<string>, key: string): void {
  if (names.size < MAX_NAMES) names.add(key)
}

import {
  KvError,
  scopeCovers,
  type FoldReader,
  type KvEntry,
  type KvReader,
  type WatchCursor,
} from '@slip/kv-core'
import { KeyMarks } from './key-marks.ts'

export type DifferenceKind = 'missing' | 'extra' | 'different' | 'skipped'

export interface Difference {
  readonly key: string
  readonly kind: DifferenceKind
}

export interface Comparison {
  readonly compared: number
  readonly missing: number
  readonly extra: number
  readonly different: number
  readonly skipped: number
  readonly at: WatchCursor
}

export interface Sides {
  readonly fold: FoldReader
  readonly bucket: KvReader
  /** What to compare; at least one. */
  readonly prefixes: readonly string[]
  /** Whether the fold says that it left this key out on purpose. */
  readonly isSkipped: (key: string) => boolean
}

export interface Listener {
  readonly onDifference: (difference: Difference) => Promise<void>
  readonly onProgress: (compared: number) => void
}

const READS_IN_FLIGHT = 64

/**
 * Compares a fold with its bucket in bounded memory, telling each difference.
 *
 * The bucket is streamed once and looked up in the fold. Whether the fold has keys that were not listed
 * is then known by counting. Which ones: those whose mark is unset are surely unlisted; the few that
 * share a mark with a listed key are asked for one by one.
 */
export async function compareFold(sides: Sides, listener: Listener): Promise<Comparison> {
  const run = new Run(sides, listener)
  const at = await run.listed()
  await run.unlisted()
  return { ...run.counts, at }
}

class Run {
  readonly counts = { compared: 0, missing: 0, extra: 0, different: 0, skipped: 0 }
  readonly #sides: Sides
  readonly #listener: Listener
  readonly #marks: KeyMarks = new KeyMarks()
  #present = 0

  constructor(sides: Sides, listener: Listener) {
    this.#sides = sides
    this.#listener = listener
  }

  async listed(): Promise<WatchCursor> {
    const { fold, bucket, prefixes, isSkipped } = this.#sides
    let at: WatchCursor | undefined
    for (const prefix of prefixes) {
      const listing = bucket.scan(prefix)
      for await (const entry of listing) {
        this.#compared()
        this.#marks.set(entry.key)
        const ours = fold.get(entry.key)
        if (ours === undefined) await this.#tell(entry.key, isSkipped(entry.key) ? 'skipped' : 'missing')
        else {
          this.#present++
          if (!same(ours, entry)) await this.#tell(entry.key, 'different')
        }
      }
      at = await listing.validAt
    }
    if (at === undefined) throw new TypeError('nothing to compare: no prefixes')
    return at
  }

  async unlisted(): Promise<void> {
    let left = this.#foldKeys() - this.#present
    if (left === 0) return
    const unsure: string[] = []
    for (const key of this.#keys()) {
      if (this.#marks.has(key)) continue
      left--
      await this.#tellUnlisted(key)
    }
    for (const key of this.#keys()) {
      if (left <= 0) return
      if (!this.#marks.has(key) || unsure.push(key) < READS_IN_FLIGHT) continue
      left -= await this.#tellAbsent(unsure.splice(0))
    }
    await this.#tellAbsent(unsure)
  }

  /** Gives how many of the keys the bucket does not list. */
  async #tellAbsent(keys: readonly string[]): Promise<number> {
    const { bucket } = this.#sides
    const absent = await Promise.all(
      keys.map(async (key) => ((await isListed(bucket, key)) ? undefined : key)),
    )
    let told = 0
    for (const key of absent) {
      if (key === undefined) continue
      told++
      await this.#tellUnlisted(key)
    }
    return told
  }

  /** A listing has no empty values, which a fold made with `--empty-values keep` has. */
  async #tellUnlisted(key: string): Promise<void> {
    const { fold, bucket } = this.#sides
    const ours = fold.get(key)
    if (ours?.value.length !== 0) return await this.#tell(key, 'extra')
    const theirs = await bucket.entry(key)
    if (theirs === undefined) return await this.#tell(key, 'extra')
    this.#compared()
    if (!same(ours, theirs)) await this.#tell(key, 'different')
  }

  async #tell(key: string, kind: DifferenceKind): Promise<void> {
    this.counts[kind]++
    await this.#listener.onDifference({ key, kind })
  }

  #compared(): void {
    this.counts.compared++
    this.#listener.onProgress(this.counts.compared)
  }

  *#keys(): Generator<string> {
    for (const prefix of this.#sides.prefixes) yield* this.#sides.fold.keys(prefix)
  }

  #foldKeys(): number {
    let count = 0
    for (const _ of this.#keys()) count++
    return count
  }
}

async function isListed(bucket: KvReader, key: string): Promise<boolean> {
  try {
    return (await bucket.get(key)) !== undefined
  } catch (error) {
    // Written past the rules for keys, a key can still be listed.
    if (!KvError.is(error) || error.code !== 'InvalidKey') throw error
    for await (const listed of bucket.keys(key)) if (listed.key === key) return true
    return false
  }
}

function same(a: KvEntry, b: KvEntry): boolean {
  return a.version.equals(b.version) && Buffer.compare(a.value, b.value) === 0
}

/** What is both in the fold's scope and under one of `wanted`, both canonical. */
export function narrowed(scope: readonly string[], wanted: readonly string[] | undefined): readonly string[] {
  if (wanted === undefined) return scope
  const inside = wanted.filter((prefix) => scopeCovers(scope, prefix))
  const wider = scope.filter((prefix) => scopeCovers(wanted, prefix) && !inside.includes(prefix))
  return [...inside, ...wider]
}

import type { KvUpdate } from '../entry.ts'
import type { ListingTallyInput } from '../protocol/audit-listing.ts'
import { protocol } from '../protocol/protocol.ts'
import { scopeIndex } from '../scope.ts'
import type { FoldReader, SnapshotStore } from '../store.ts'
import type { CommitObserver } from './commit-observer.ts'

/** Removed names that are remembered until the listing has passed them. */
const MOST_REMOVED = 100_000

type JudgedFold = FoldReader & Pick<SnapshotStore, 'deletedKeys'>

/**
 * Counts what a listing says of a fold that goes on moving. No set of keys is held: an entry that an
 * update touches for the first time is told by its old revision, and whether the listing had matched it
 * by then is told by the order of the listing.
 */
export class ListingTally implements CommitObserver {
  readonly #start: bigint
  readonly #prefixes: readonly string[]
  readonly #entries: number | undefined
  readonly #removed = new Set<string>()
  #matched = 0
  #wrong = 0
  #touched = 0
  #touchedAfterMatch = 0
  #ordered = true
  #tooManyRemoved = false
  /** Which prefix is being listed, and how far. */
  #listing = 0
  #position = 0n

  /** `entries` are those of the fold at this moment, which stands at `start`; undefined when they cannot be counted. */
  constructor(start: bigint, entries: number | undefined, prefixes: readonly string[]) {
    this.#start = start
    this.#entries = entries
    this.#prefixes = prefixes
  }

  /** The listing of the next prefix begins. */
  nextListing(): void {
    this.#listing++
    this.#position = 0n
  }

  /** One key of the listing, when the fold has applied everything up to its revision. */
  judge(key: string, listed: bigint, fold: JudgedFold, isSkipped: (key: string) => boolean): void {
    const held = fold.get(key)?.version.revision
    const removedSince = this.#removed.has(key)
    const skipped = held === undefined && listed <= this.#start && isSkipped(key)
    const removedAt = skipped ? removalOf(key, fold) : undefined
    const start = this.#start
    const verdict = protocol.judgeListed({ listed, start, held, removedSince, skipped, removedAt })
    if (verdict === 'wrong') this.#wrong++
    if (verdict === 'match') {
      this.#matched++
      if (listed < this.#position) this.#ordered = false
    }
    if (listed > this.#position && listed <= this.#start) this.#position = listed
  }

  survey(updates: readonly KvUpdate[], fold: FoldReader): () => void {
    const touched = new Map<string, bigint>()
    const removed: string[] = []
    const seen = new Set<string>()
    for (const { key, operation } of updates) {
      if (operation !== 'put') removed.push(key)
      if (seen.has(key)) continue
      seen.add(key)
      const before = fold.get(key)?.version.revision
      if (before !== undefined && before <= this.#start) touched.set(key, before)
    }
    return () => {
      for (const [key, before] of touched) {
        this.#touched++
        if (this.#hasPassed(key, before)) this.#touchedAfterMatch++
      }
      for (const key of removed) {
        const before = touched.get(key)
        if (before === undefined || !this.#hasPassed(key, before)) this.#remember(key)
      }
    }
  }

  verdict(listedAt: bigint | undefined): 'equal' | 'wait' | 'rebuild' {
    if (this.#tooManyRemoved) return 'wait'
    const input: ListingTallyInput = {
      start: this.#start,
      listedAt,
      entries: this.#entries,
      matched: this.#matched,
      wrong: this.#wrong,
      touched: this.#touched,
      touchedAfterMatch: this.#touchedAfterMatch,
      ordered: this.#ordered,
    }
    return protocol.auditListing(input)
  }

  #hasPassed(key: string, revision: bigint): boolean {
    const prefix = scopeIndex(this.#prefixes, key)
    return prefix < this.#listing || (prefix === this.#listing && revision <= this.#position)
  }

  #remember(key: string): void {
    if (this.#removed.size < MOST_REMOVED) this.#removed.add(key)
    else this.#tooManyRemoved = true
  }
}

function removalOf(key: string, fold: JudgedFold): bigint | undefined {
  const [first] = fold.deletedKeys?.(key) ?? []
  return first?.key === key ? first.version.revision : undefined
}

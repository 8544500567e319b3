import type { FollowSource } from '../follow-source.ts'
import type { Binding } from '../lineage.ts'
import { protocol } from '../protocol/protocol.ts'
import { Slices } from '../slices.ts'
import type { KvReader, ListedKey, SourceDescription } from '../source.ts'
import type { SnapshotStore } from '../store.ts'
import { within } from './deadline.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FoldWriter } from './fold-writer.ts'
import type { FollowSettings } from './follow-settings.ts'
import { ListingTally } from './listing-tally.ts'

/** `wait`: nothing can be said this time; `off`: the source cannot list, or its listing says nothing here. */
export type ListingVerdict = 'equal' | 'wait' | 'rebuild' | 'off'

const ANSWER_TIMEOUT_MS = 5_000
const APPLY_TIMEOUT_MS = 10_000
const FIRST_CHUNK = 1_024
const LARGEST_CHUNK = 65_536
const YIELD_EVERY = 64

/** The fold was opened anew, or did not get as far as the bucket in time. */
class Moved extends Error {}

/**
 * Compares the fold with a listing of the bucket's keys and revisions, beside the updates that go on
 * arriving: what counts of keys cannot see, a key whose newest revision was removed, and what a fold
 * that remembers nothing needs before it claims anything.
 */
export class ListingAudit<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  readonly #writer: FoldWriter<S, T>

  constructor(parts: FoldParts<S, T>, settings: FollowSettings, writer: FoldWriter<S, T>) {
    this.#parts = parts
    this.#settings = settings
    this.#writer = writer
  }

  /** Whether a listing of this bucket would say something of the fold. */
  isPossible(source: FollowSource, described: SourceDescription, binding: Binding): boolean {
    const { cursor } = this.#parts.keeper.figures
    return (
      source.reader !== undefined &&
      described.lastRevision !== undefined &&
      (cursor.isNone || cursor.revision !== undefined) &&
      this.isTruth(described, binding)
    )
  }

  /** Whether what the bucket does not have is nothing that the fold keeps. */
  isTruth(
    { evictsCurrentValues, evictsOldestFirst, firstRevision }: SourceDescription,
    { whenEvicted, evictionSeen }: Binding,
  ): boolean {
    return protocol.listingIsTruth({
      whenEvicted,
      evictsCurrentValues,
      evictsOldestFirst,
      firstRevision,
      evictionSeen,
    })
  }

  /** A source that does not answer is `wait`: its session ends by itself. */
  async run(
    source: FollowSource,
    described: SourceDescription,
    binding: Binding,
    signal: AbortSignal,
  ): Promise<ListingVerdict> {
    const { reader } = source
    const { board, gate } = this.#parts
    if (reader === undefined || !this.isPossible(source, described, binding)) return 'off'
    const begun = await gate.run(() => this.#begin())
    if (begun === undefined) return 'wait'
    const { store, start, tally, stop } = begun
    try {
      const listing = this.#list(source, reader, store, tally, signal)
      const verdict = tally.verdict(await within(listing, { signal, what: 'listing the bucket' }))
      if (verdict === 'equal' && (board.verifiedThrough ?? -1n) < start) board.verifiedThrough = start
      return verdict
    } catch {
      return 'wait'
    } finally {
      stop()
    }
  }

  /** Between two flushes, so that no commit is missed and none is seen in part. */
  #begin():
    | { readonly store: S; readonly start: bigint; readonly tally: ListingTally; readonly stop: () => void }
    | undefined {
    const { keeper } = this.#parts
    const { prefixes, emptyValues } = this.#settings
    const { store } = keeper
    if (!keeper.isOpen) return undefined
    const start = store.cursor.isNone ? 0n : store.cursor.revision
    if (start === undefined) return undefined
    // A listing leaves empty values out, so where they are entries only the listed keys can be compared.
    const entries = emptyValues === 'keep' ? undefined : store.stats.entries
    const tally = new ListingTally(start, entries, prefixes)
    return { store, start, tally, stop: this.#writer.observe(tally) }
  }

  /** Gives the earliest revision at which one of the listings was complete. */
  async #list(
    source: FollowSource,
    reader: KvReader,
    store: S,
    tally: ListingTally,
    signal: AbortSignal,
  ): Promise<bigint | undefined> {
    let validAt: bigint | undefined
    for (const prefix of this.#settings.prefixes) {
      const listing = reader.keys(prefix, { signal })
      let chunk: ListedKey[] = []
      let size = FIRST_CHUNK
      for await (const listed of listing) {
        if (chunk.push(listed) < size) continue
        await this.#judge(source, store, tally, chunk, signal)
        chunk = []
        size = Math.min(2 * size, LARGEST_CHUNK)
      }
      await this.#judge(source, store, tally, chunk, signal)
      tally.nextListing()
      const { revision } = await listing.validAt
      if (revision === undefined) return undefined
      if (validAt === undefined || revision < validAt) validAt = revision
    }
    return validAt
  }

  /** Keys are judged when the fold has applied all that the bucket had when they were listed. */
  async #judge(
    source: FollowSource,
    store: S,
    tally: ListingTally,
    chunk: readonly ListedKey[],
    signal: AbortSignal,
  ): Promise<void> {
    const { keeper, oversize, waiters } = this.#parts
    const { lastRevision } = await within(source.watcher.describe('all', { signal }), {
      signal,
      timeoutMs: ANSWER_TIMEOUT_MS,
      what: 'describing the bucket',
    })
    if (lastRevision === undefined) throw new Moved()
    const there = (): boolean => keeper.store !== store || (store.cursor.revision ?? 0n) >= lastRevision
    await waiters.add(there, `revision ${lastRevision}`, { signal, timeoutMs: APPLY_TIMEOUT_MS })
    const slices = new Slices('follow.audit')
    const isSkipped = (key: string): boolean => oversize.skips(key)
    for (let i = 0; i < chunk.length; i++) {
      if (i % YIELD_EVERY === 0 && slices.due()) await slices.pause()
      if (keeper.store !== store || !keeper.isOpen) throw new Moved()
      const { key, version } = chunk[i]!
      if (version.revision === undefined) throw new Moved()
      tally.judge(key, version.revision, store, isSkipped)
    }
    slices.end()
  }
}

import type { FlushOutcome } from '../apply/flusher.ts'
import { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import { messageOf, SnapshotError } from '../errors.ts'
import type { FollowSource } from '../follow-source.ts'
import type { WantedFold } from '../protocol/admit-artifact.ts'
import { protocol } from '../protocol/protocol.ts'
import { Slices } from '../slices.ts'
import type { SourceDescription } from '../source.ts'
import type { SnapshotStore } from '../store.ts'
import { Unanswered, type FoldStanding } from './attach-decision.ts'
import { within } from './deadline.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FollowSettings } from './follow-settings.ts'
import { historyOf, openedArtifact, type OpenedArtifact } from './opened-artifact.ts'
import type { Rebuild } from './rebuild.ts'

const YIELD_EVERY = 64
const ENDING_MS = 5_000

interface Fetch {
  readonly stop: AbortController
  readonly done: Promise<void>
  isThere: boolean
}

/**
 * Gets an artifact for a fold that is far behind its bucket, while that goes on: whichever is sooner, so that no
 * link or store that is slow holds the fold up. What was fetched is looked at when the next session begins,
 * and then hydrates a second fold, which becomes the one in use as any rebuild does.
 */
export class FastForward<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  readonly #signal: AbortSignal
  readonly #onFetched: () => void
  #fetch: Fetch | undefined
  /** Of the fetch before. */
  #ending = Promise.resolve()
  /** Where the bucket ended when an artifact was asked for last. */
  #askedAt: bigint | undefined

  /** `onFetched`: called when an artifact is there, and has to be looked at. */
  constructor(parts: FoldParts<S, T>, settings: FollowSettings, signal: AbortSignal, onFetched: () => void) {
    this.#parts = parts
    this.#settings = settings
    this.#signal = signal
    this.#onFetched = onFetched
  }

  /** Before a session of a fold that goes on. */
  consider(source: SourceDescription, fold: FoldStanding): void {
    const least = this.#least(source, fold)
    const { lastRevision: last } = source
    if (this.#fetch !== undefined || least === undefined || last === undefined) return
    const behind = least - fold.cursor.revision!
    const asked = this.#askedAt
    if (asked !== undefined && last >= asked && last - asked < behind) return
    this.#askedAt = last
    this.#parts.board.bootstrapError = undefined
    const { whenEvicted, prefixes } = this.#settings
    const { kind, name, incarnation } = source
    const notBehind = WatchCursor.fromRevision(least)
    this.#fetch = this.#begin({ kind, name, incarnation, whenEvicted, prefixes, notBehind })
  }

  /**
   * The artifact that was fetched, to be closed with `release`; undefined where there is none, or none that may take the
   * fold's place. Rejects with `Unanswered`.
   */
  async open(
    source: FollowSource,
    described: SourceDescription,
    fold: FoldStanding,
  ): Promise<OpenedArtifact<S> | undefined> {
    if (this.#fetch?.isThere !== true) return undefined
    let store: S | undefined
    let taken: OpenedArtifact<S> | undefined
    let isLookedAt = true
    try {
      const least = this.#least(described, fold)
      if (least === undefined) return undefined
      store = await this.#parts.keeper.restorePlace!.open({ signal: this.#signal })
      const artifact = openedArtifact(store)
      if (await this.#mayTake(artifact, { source, described, fold, least })) taken = artifact
      else
        this.#note(
          new SnapshotError(
            'ArtifactInvalid',
            'the artifact is no proven state of the bucket ahead of the fold',
          ),
        )
      return taken
    } catch (error) {
      if (this.#signal.aborted) return undefined
      isLookedAt = !(error instanceof Unanswered)
      if (!isLookedAt) throw error
      this.#note(error)
      return undefined
    } finally {
      if (!isLookedAt) await store?.close()
      else if (taken === undefined) await this.release(store)
    }
  }

  /**
   * Hydrates `rebuild` with what the artifact holds; the last commit has its position. `restart`: the artifact cannot be read
   * to its end, and the rebuild was given up.
   */
  async prime(rebuild: Rebuild<S, T>, { store, lineage }: OpenedArtifact<S>): Promise<FlushOutcome> {
    const { keeper, oversize } = this.#parts
    oversize.restore(lineage?.skipped)
    const { maxBytes, maxCount } = this.#settings.limits
    const slices = new Slices('follow.apply')
    let sinceYield = 0
    let batch: KvUpdate[] = []
    let changed: KvUpdate[] = []
    let bytes = 0
    const commit = async (): Promise<FlushOutcome> => {
      slices.end()
      const outcome = await rebuild.prime(batch, changed)
      batch = []
      changed = []
      bytes = 0
      slices.begin()
      return outcome
    }
    const updates = updatesOf(store, this.#settings.prefixes)
    for (;;) {
      const update = this.#next(updates)
      if (update === 'unreadable') {
        const outcome = await this.#parts.gate.run(() => rebuild.giveUp())
        return outcome === 'committed' ? 'restart' : outcome
      }
      if (update === undefined) break
      batch.push(update)
      bytes += update.key.length
      if (update.operation === 'put') {
        bytes += update.value.length
        if (!isHeld(keeper.store, update)) changed.push(update)
      }
      if (batch.length >= maxCount || bytes >= maxBytes) {
        const outcome = await commit()
        if (outcome !== 'committed') return outcome
      } else if (++sinceYield >= YIELD_EVERY) {
        sinceYield = 0
        if (slices.due()) await slices.pause()
      }
    }
    const outcome = batch.length === 0 ? 'committed' : await commit()
    slices.end()
    return outcome === 'committed' ? rebuild.flush([], store.cursor, true) : outcome
  }

  #next(updates: Iterator<KvUpdate>): KvUpdate | undefined | 'unreadable' {
    try {
      const { done, value } = updates.next()
      return done === true ? undefined : value
    } catch (error) {
      this.#note(error)
      return 'unreadable'
    }
  }

  /** Closes an artifact and removes it, and ends a fetch that is under way. */
  release(store?: S): Promise<void> {
    const fetch = this.#fetch
    if (fetch === undefined) return this.#ending
    this.#fetch = undefined
    fetch.stop.abort()
    this.#ending = this.#end(fetch, store)
    return this.#ending
  }

  async #end(fetch: Fetch, store: S | undefined): Promise<void> {
    const { signal } = new AbortController()
    const what = 'the end of a bootstrap that was aborted'
    try {
      await within(fetch.done, { signal, timeoutMs: ENDING_MS, what })
      await store?.close()
      await this.#parts.keeper.restorePlace?.remove!()
    } catch (error) {
      this.#note(error)
    }
  }

  #begin(wanted: WantedFold): Fetch {
    const place = this.#parts.keeper.restorePlace!
    const stop = new AbortController()
    const signal = AbortSignal.any([this.#signal, stop.signal])
    const run = async (): Promise<void> => {
      try {
        await this.#ending
        await place.remove!()
        fetch.isThere = await this.#parts.bootstrap!(place, { signal, wanted })
      } catch (error) {
        if (!signal.aborted) this.#note(error)
      }
      if (this.#fetch !== fetch) return
      if (fetch.isThere) this.#onFetched()
      else void this.release()
    }
    const fetch: Fetch = { stop, isThere: false, done: Promise.resolve().then(run) }
    return fetch
  }

  #least(source: SourceDescription, fold: FoldStanding): bigint | undefined {
    const { prefixes, whenEvicted, repair, emptyValues, bootstrapBehind } = this.#settings
    return protocol.fastForwardTo({
      fold,
      source,
      scope: prefixes,
      whenEvicted,
      repair,
      emptyValues,
      restores: fold.restores,
      entries: this.#parts.keeper.figures.entries,
      behind: bootstrapBehind,
    })
  }

  async #mayTake(
    artifact: OpenedArtifact<S>,
    task: {
      readonly source: FollowSource
      readonly described: SourceDescription
      readonly fold: FoldStanding
      readonly least: bigint
    },
  ): Promise<boolean> {
    const { prefixes, whenEvicted, repair, emptyValues, scope } = this.#settings
    const { store, lineage, appliedAtMs } = artifact
    const history = await historyOf(artifact, task.source, task.described, { scope, signal: this.#signal })
    return protocol.mayFastForward({
      fold: {
        binding: lineage?.binding,
        cursor: store.cursor,
        populated: store.stats.entries > 0,
        appliedAtMs,
        settled: lineage?.settled === true,
      },
      source: task.described,
      scope: prefixes,
      whenEvicted,
      repair,
      emptyValues,
      history,
      least: task.least,
    })
  }

  #note(error: unknown): void {
    const { board } = this.#parts
    board.bootstrapError = error instanceof Error ? error : new Error(messageOf(error))
  }
}

/** Entries and the names of deleted keys, which the number of keys in the bucket is compared with. */
function* updatesOf(store: SnapshotStore, prefixes: readonly string[]): IterableIterator<KvUpdate> {
  for (const prefix of prefixes) {
    for (const entry of store.entries(prefix)) yield { operation: 'put', ...entry }
    for (const { key, version } of store.deletedKeys?.(prefix) ?? [])
      yield { operation: 'delete', key, version }
  }
}

/** What cannot be read is not. */
function isHeld(fold: SnapshotStore, { key, version }: KvUpdate): boolean {
  try {
    return fold.get(key)?.version.equals(version) === true
  } catch {
    return false
  }
}

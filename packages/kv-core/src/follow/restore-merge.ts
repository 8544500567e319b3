import type { FlushOutcome } from '../apply/flusher.ts'
import type { KvEntry, KvUpdate } from '../entry.ts'
import { type Lineage, MAX_ANCHORS } from '../lineage.ts'
import { protocol } from '../protocol/protocol.ts'
import { Slices } from '../slices.ts'
import type { KvReader } from '../source.ts'
import type { ApplyOptions, SnapshotStore } from '../store.ts'
import type { AnchorRing } from './anchor-ring.ts'
import { Unanswered, Unrestored } from './attach-decision.ts'
import { BoundLineage } from './bound-lineage.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FoldWriter } from './fold-writer.ts'
import type { FollowSettings } from './follow-settings.ts'
import { syntheticDelete } from './removals.ts'

const YIELD_EVERY = 64
/** Names that are looked for in one listing of the bucket. */
const MOST_NAMES = 65_536

/** What the rest of a repair has to say. */
export interface RestorePorts {
  readonly reader: KvReader | undefined
  /** Of the fold in use, in doubt. */
  readonly bound: BoundLineage
  readonly signal: AbortSignal
  /** Rejects when the bucket no longer has all that follows the artifact. */
  stillThere(): Promise<void>
}

/**
 * Takes what an artifact holds into the fold in use, in commits no larger than a batch, each under the cursor the
 * fold had; the last one is of no update and of the artifact's cursor. Memory does not grow with either of them.
 */
export class RestoreMerge<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  readonly #writer: FoldWriter<S, T>
  readonly #artifact: SnapshotStore
  readonly #ports: RestorePorts
  readonly #slices = new Slices('follow.apply')
  #sinceYield = 0
  #batch: KvUpdate[] = []
  #bytes = 0

  constructor(
    parts: FoldParts<S, T>,
    settings: FollowSettings,
    writer: FoldWriter<S, T>,
    artifact: SnapshotStore,
    ports: RestorePorts,
  ) {
    this.#parts = parts
    this.#settings = settings
    this.#writer = writer
    this.#artifact = artifact
    this.#ports = ports
  }

  /** Gives what the fold belongs to when it stands where the artifact does; undefined when that was not reached. */
  async run(lineage: Lineage | undefined, ring: AnchorRing): Promise<BoundLineage | undefined> {
    const { oversize } = this.#parts
    oversize.restore(lineage?.skipped)
    for (const prefix of this.#settings.prefixes) {
      if (!(await this.#takeEntries(prefix))) return undefined
      if (!(await this.#takeRemovals(prefix))) return undefined
      if (!(await this.#removeRest(prefix))) return undefined
    }
    this.#slices.begin()
    const isTaken = await this.#commit()
    this.#slices.end()
    if (!isTaken) return undefined
    const binding = { ...this.#ports.bound.binding, evictionSeen: true }
    const bound = new BoundLineage(binding, ring, lineage?.settled === true)
    this.#writer.bind(bound)
    this.#parts.flusher.forget()
    const cursor = bound.cursorOf(this.#artifact.cursor)
    const outcome = await this.#writer.flush([], 0, cursor, { phase: 'resync' })
    return outcome === 'committed' ? bound : undefined
  }

  async #takeEntries(prefix: string): Promise<boolean> {
    this.#slices.begin()
    for (const entry of this.#artifact.entries(prefix)) {
      const taken = this.#decide(entry.key, entry) === 'take'
      if (taken && !(await this.#add({ operation: 'put', ...entry }))) return false
      if (!(await this.#breathe())) return false
    }
    this.#slices.end()
    return true
  }

  /**
   * Of keys the fold does not have: a repair whose process died may have given `apply` what its fold never got, and
   * what was deleted since.
   */
  async #takeRemovals(prefix: string): Promise<boolean> {
    const { cursor } = this.#parts.keeper.figures
    const missedAbove = cursor.isNone ? 0n : cursor.revision
    this.#slices.begin()
    for (const { key, version } of this.#artifact.deletedKeys?.(prefix) ?? []) {
      const { revision } = version
      const isMissed = revision === undefined || missedAbove === undefined || revision > missedAbove
      if (isMissed && !this.#parts.keeper.store.has(key)) {
        const removal = { operation: 'delete', key, version, reason: 'resync' } as const
        if (!(await this.#add(removal))) return false
      }
      if (!(await this.#breathe())) return false
    }
    this.#slices.end()
    return true
  }

  /** The fold's own keys in parts, since each commit ends an iteration. */
  async #removeRest(prefix: string): Promise<boolean> {
    const { maxCount } = this.#settings.limits
    let names = new Set<string>()
    let after: string | undefined
    this.#slices.begin()
    for (;;) {
      const range = { limit: maxCount, ...(after === undefined ? {} : { gt: after }) }
      const keys = [...this.#parts.keeper.store.keys(prefix, range)]
      for (const key of keys) {
        if (!this.#artifact.has(key)) names.add(key)
        if (!(await this.#breathe())) return false
      }
      after = keys.at(-1) ?? after
      const isLast = keys.length < maxCount
      if (names.size > 0 && (isLast || names.size >= MOST_NAMES)) {
        if (!(await this.#removeUnlisted(prefix, names))) return false
        names = new Set()
      }
      if (isLast) break
    }
    this.#slices.end()
    return true
  }

  async #removeUnlisted(prefix: string, names: Set<string>): Promise<boolean> {
    const { reader, signal } = this.#ports
    if (reader === undefined) throw new Unrestored('the bucket cannot be listed')
    this.#slices.end()
    try {
      const listing = reader.keys(prefix, { signal })
      for await (const { key } of listing) names.delete(key)
      await listing.validAt
    } catch (cause) {
      throw new Unanswered(cause)
    }
    // A key that was written and evicted after the artifact is not listed either.
    await this.#ports.stillThere()
    this.#slices.begin()
    for (const key of names) {
      const removed = this.#decide(key, undefined, false) === 'remove'
      if (removed && !(await this.#add(syntheticDelete(key)))) return false
      if (!(await this.#breathe())) return false
    }
    return true
  }

  async #add(update: KvUpdate): Promise<boolean> {
    const { maxBytes, maxCount } = this.#settings.limits
    this.#batch.push(update)
    this.#bytes += update.key.length + (update.operation === 'put' ? update.value.length : 0)
    return this.#batch.length < maxCount && this.#bytes < maxBytes ? true : this.#commit()
  }

  async #commit(): Promise<boolean> {
    const updates = this.#batch
    if (updates.length === 0) return true
    this.#batch = []
    this.#bytes = 0
    this.#slices.end()
    const outcome = await this.#parts.gate.run(() => this.#flush(updates))
    this.#slices.begin()
    return outcome === 'committed'
  }

  async #flush(updates: readonly KvUpdate[]): Promise<FlushOutcome> {
    const { board, feed, flusher, keeper, oversize } = this.#parts
    const { cursor } = keeper.figures
    // Its keys come in the order of their names, not of their revisions.
    flusher.forget()
    let kept = updates
    const outcome = await flusher.flush({
      updates,
      cursor,
      phase: 'resync',
      standing: cursor,
      failingSinceMs: this.#writer.failingSinceMs,
      commit: async () => {
        const { store } = keeper
        kept = oversize.admit(updates, store.features, 'artifact')
        await store.apply(kept, this.#ports.bound.cursorOf(cursor), this.#inDoubt(store))
      },
      reopen: async (signal) => {
        await this.#writer.reopen(signal)
        return protocol.afterReopen({ found: keeper.store.cursor, before: cursor, attempted: cursor })
      },
    })
    if (outcome !== 'committed') return outcome
    board.applied += updates.length
    board.relisted += updates.length
    board.skipped = oversize.skipped
    feed.publish(kept, 'resync')
    this.#writer.committed(cursor, false)
    return outcome
  }

  #inDoubt(store: S): ApplyOptions {
    if (!store.features.lineage) return {}
    return { lineage: this.#ports.bound.encode(this.#parts.oversize, MAX_ANCHORS) }
  }

  #decide(
    key: string,
    artifact: KvEntry | undefined,
    listed?: boolean,
  ): ReturnType<typeof protocol.restoreKey> {
    const local = this.#parts.keeper.store.get(key)
    return protocol.restoreKey({ artifact: revisionOf(artifact), local: revisionOf(local), listed })
  }

  /** Gives whether to go on. */
  async #breathe(): Promise<boolean> {
    if (++this.#sinceYield < YIELD_EVERY) return true
    this.#sinceYield = 0
    if (this.#slices.due()) await this.#slices.pause()
    return !this.#ports.signal.aborted
  }
}

/** Of an entry whose version is no revision, one that is older than any. */
function revisionOf(entry: KvEntry | undefined): bigint | undefined {
  return entry === undefined ? undefined : (entry.version.revision ?? 0n)
}

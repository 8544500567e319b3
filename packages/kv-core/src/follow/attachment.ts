import { SnapshotError, KvError } from '../errors.ts'
import type { WatchCursor } from '../cursor.ts'
import { type Binding, decodeLineage, type Lineage } from '../lineage.ts'
import type { AttachDecision, RebuildReason } from '../protocol/attach.ts'
import { protocol } from '../protocol/protocol.ts'
import type { SourceDescription } from '../source.ts'
import type { SnapshotStore } from '../store.ts'
import type { ApplyPhase } from '../watch-applied.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FoldWriter } from './fold-writer.ts'
import type { FollowSettings } from './follow-settings.ts'
import { Rebuild } from './rebuild.ts'

/** What a session goes on from. */
export interface Attached {
  readonly lineage: Lineage
  readonly phase: ApplyPhase
  /** Whether the fold was compared with this history, or is part of it from its first entry. */
  readonly verifiedLineage: boolean
}

/** What the attach kernel is asked about a fold. */
export interface FoldStanding {
  readonly binding: Binding | undefined
  readonly cursor: WatchCursor
  readonly populated: boolean
}

export function attachDecision(
  { prefixes, whenEvicted, repair }: FollowSettings,
  source: SourceDescription,
  fold: FoldStanding,
  finding?: RebuildReason,
): AttachDecision {
  return protocol.attach({ fold, source, scope: prefixes, whenEvicted, repair, finding })
}

/** Connects the fold with what the source says about itself, before every session. */
export class Attachment<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  readonly #writer: FoldWriter<S, T>
  #rebuild: Rebuild<S, T> | undefined
  #known: S | undefined

  constructor(parts: FoldParts<S, T>, settings: FollowSettings, writer: FoldWriter<S, T>) {
    this.#parts = parts
    this.#settings = settings
    this.#writer = writer
  }

  /** The rebuild under way. */
  get rebuild(): Rebuild<S, T> | undefined {
    return this.#rebuild?.state === 'open' ? this.#rebuild : undefined
  }

  /**
   * `finding` is what the last session, or the audit, found out. Resolves with undefined when the
   * caller ended first. SnapshotError `ForeignFold` and KvError `RepairRefused`: no retry mends those.
   */
  async attach(source: SourceDescription, finding: RebuildReason | undefined): Promise<Attached | undefined> {
    const rebuild = this.#rebuild
    if (rebuild?.state === 'open') return this.#goOn(rebuild, source, finding)
    this.#rebuild = undefined
    // One that was given up half-way left the fold as it was, and with it the reason.
    const left = rebuild?.state === 'discarded' && !rebuild.inPlace ? rebuild.reason : undefined
    return this.#attachFold(source, finding ?? left)
  }

  /** Drops a rebuild that was not finished. */
  async close(): Promise<void> {
    await this.rebuild?.discard()
  }

  async #attachFold(
    source: SourceDescription,
    finding: RebuildReason | undefined,
  ): Promise<Attached | undefined> {
    const { board, flusher, gate, keeper } = this.#parts
    const { store } = keeper
    const stored = store.lineage === undefined ? undefined : decodeLineage(store.lineage)
    const fold = { binding: stored?.binding, cursor: store.cursor, populated: store.stats.entries > 0 }
    const decision = attachDecision(this.#settings, source, fold, finding)
    const evictionSeen =
      stored?.binding.evictionSeen === true ||
      store.cursor.memo !== undefined ||
      ('evictionSeen' in decision && decision.evictionSeen)
    const binding = this.#bindingTo(source, evictionSeen, stored?.binding)
    switch (decision.action) {
      case 'foreign':
        if (this.#settings.onForeignFold === 'refuse') throw foreign(decision.differs, store.cursor)
        await gate.run(() => keeper.replace())
        flusher.forget()
        return this.#from({ binding: this.#bindingTo(source, false), anchors: [] }, 'initial', true)
      case 'refuse':
        throw refused(decision.reason, store.cursor)
      case 'rebuild':
        if (decision.history === 'other') board.forgetHistory()
        return this.#startRebuild(binding, decision.reason)
      case 'fresh':
        return this.#from({ binding, anchors: [] }, 'initial', true)
      default:
        return this.#from({ anchors: [], ...stored, binding }, 'live', stored !== undefined)
    }
  }

  async #goOn(
    rebuild: Rebuild<S, T>,
    source: SourceDescription,
    finding: RebuildReason | undefined,
  ): Promise<Attached | undefined> {
    const { binding, cursor } = rebuild
    const staged = { binding, cursor, populated: !cursor.isNone }
    const decision = attachDecision(this.#settings, source, staged, finding)
    if (decision.action === 'resume' || (decision.action === 'fresh' && finding === undefined))
      return { lineage: { binding, anchors: [] }, phase: 'resync', verifiedLineage: true }
    await this.close()
    const reason = decision.action === 'rebuild' ? decision.reason : rebuild.reason
    return this.#startRebuild(this.#bindingTo(source, binding.evictionSeen), reason)
  }

  async #startRebuild(bound: Binding, reason: RebuildReason): Promise<Attached | undefined> {
    this.#parts.board.dispatch({ type: 'rebuilding', reason })
    this.#rebuild = await Rebuild.begin(this.#parts, this.#writer, { reason, binding: bound })
    this.#known = this.#parts.keeper.store
    if (this.#rebuild === undefined) return undefined
    return { lineage: { binding: bound, anchors: [] }, phase: 'resync', verifiedLineage: true }
  }

  /** A handle that was not seen before may stand where this process has not been. */
  #from(lineage: Lineage, phase: ApplyPhase, verifiedLineage: boolean): Attached {
    const { board, keeper, oversize } = this.#parts
    if (this.#known !== keeper.store) oversize.restore(lineage.skipped)
    this.#known = keeper.store
    board.skipped = oversize.skipped
    const { binding, anchors } = lineage
    return { lineage: { binding, anchors }, phase, verifiedLineage }
  }

  #bindingTo(source: SourceDescription, evictionSeen: boolean, stored?: Binding): Binding {
    const incarnation = source.incarnation ?? stored?.incarnation
    return {
      kind: source.kind,
      name: source.name,
      ...(incarnation === undefined ? {} : { incarnation }),
      scope: this.#settings.prefixes,
      whenEvicted: this.#settings.whenEvicted,
      evictionSeen,
    }
  }
}

function foreign(differs: string, cursor: WatchCursor): SnapshotError {
  return new SnapshotError('ForeignFold', `the fold belongs to another bucket: its ${differs} differs`, {
    cursor,
  })
}

function refused(reason: RebuildReason, cursor: WatchCursor): KvError {
  return new KvError(
    'RepairRefused',
    `the fold cannot go on (${reason}) and may not be repaired from a listing; bootstrap it from an artifact`,
    { cursor },
  )
}

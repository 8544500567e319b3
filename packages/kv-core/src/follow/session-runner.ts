import { withLinkedSignal } from '../apply/linked-signal.ts'
import type { FlushOutcome } from '../apply/flusher.ts'
import { pause } from '../apply/back-off.ts'
import { runSession, type SessionEnd } from '../apply/session-loop.ts'
import { WatchCursor } from '../cursor.ts'
import { KvError, SnapshotError } from '../errors.ts'
import type { FollowSource } from '../follow-source.ts'
import { type Binding, decodeLineage, encodeLineage, type Lineage } from '../lineage.ts'
import type { AttachDecision, RebuildReason } from '../protocol/attach.ts'
import { protocol } from '../protocol/protocol.ts'
import type { SourceDescription } from '../source.ts'
import type { SnapshotStore } from '../store.ts'
import type { ApplyPhase } from '../watch-applied.ts'
import { CountAudit } from './count-audit.ts'
import { within } from './deadline.ts'
import type { FoldParts } from './fold-parts.ts'
import { FoldWriter } from './fold-writer.ts'
import type { FollowSettings } from './follow-settings.ts'
import { Rebuild } from './rebuild.ts'
import type { Unverified } from './status.ts'

/** How one session ended; what ends the follower is thrown instead. */
export type FollowEnd =
  | { readonly why: 'aborted' }
  /** The source did not answer: it has to be opened again. */
  | { readonly why: 'unreachable'; readonly error: unknown }
  | { readonly why: 'ended'; readonly reason: string; readonly error?: unknown; readonly caughtUp: boolean }

const DESCRIBE_TIMEOUT_MS = 5_000
const FIRST_AUDIT_RETRY_MS = 250
/** A watch that yields nothing for this many stale intervals is given up. */
const STUCK_INTERVALS = 3

/** Runs sessions one after the other, and remembers between them what the next has to know. */
export class SessionRunner<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  readonly #writer: FoldWriter<S, T>
  readonly #audit: CountAudit<S, T>
  readonly #signal: AbortSignal
  #rebuild: Rebuild<S, T> | undefined
  #finding: RebuildReason | undefined
  #suspect = false
  #pulling = false
  #endSession: ((reason: unknown) => void) | undefined

  constructor(parts: FoldParts<S, T>, settings: FollowSettings, signal: AbortSignal) {
    this.#parts = parts
    this.#settings = settings
    this.#writer = new FoldWriter(parts)
    this.#audit = new CountAudit(parts)
    this.#signal = signal
  }

  /** Describes, attaches, and watches until the session ends. */
  async run(source: FollowSource): Promise<FollowEnd> {
    const { board, flusher } = this.#parts
    let description: SourceDescription
    try {
      description = await this.#describe(source)
    } catch (error) {
      return this.#signal.aborted ? { why: 'aborted' } : { why: 'unreachable', error }
    }
    board.proof()
    const attached = await this.#attach(description)
    if (attached === undefined) return this.#ended('storeReopened')
    board.heard(description.lastRevision)
    board.sessions++
    const { binding, lineage, phase } = attached
    this.#writer.bind(this.#parts.keeper.store.features.lineage ? encodeLineage(lineage) : undefined)
    board.unverified = this.#unverified(description, attached.verifiedLineage)
    if (this.#rebuild === undefined) board.dispatch({ type: 'attached' })
    else board.dispatch({ type: 'rebuilding', reason: this.#rebuild.reason })
    if (phase !== 'live') flusher.forget()
    return this.#watch(source, binding, phase)
  }

  /** Ends a session whose source yields nothing although it is waited for. */
  endIfStuck(nowMs: number): void {
    const silentForMs = nowMs - this.#parts.board.lastProofMs
    if (this.#pulling && silentForMs >= STUCK_INTERVALS * this.#settings.staleAfterMs)
      this.#endSession?.('silent')
  }

  /** Drops a rebuild that was not finished. */
  async close(): Promise<void> {
    await this.#rebuild?.discard()
    this.#rebuild = undefined
  }

  #describe(source: FollowSource): Promise<SourceDescription> {
    const options = { signal: this.#signal, timeoutMs: DESCRIBE_TIMEOUT_MS }
    return within(source.watcher.describe(this.#settings.scope, options), {
      ...options,
      what: `describing ${source.name}`,
    })
  }

  async #attach(description: SourceDescription): Promise<Attached | undefined> {
    const { keeper, flusher, board } = this.#parts
    const finding = this.#finding
    this.#finding = undefined
    if (this.#rebuild !== undefined) {
      const { binding, cursor, reason } = this.#rebuild
      const decision = this.#decide(description, binding, cursor, !cursor.isNone, finding)
      if (decision.action === 'resume' || (decision.action === 'fresh' && finding === undefined))
        return attachedTo(binding, [], 'resync', true)
      await this.close()
      return this.#startRebuild(
        description,
        binding,
        decision.action === 'rebuild' ? decision.reason : reason,
      )
    }
    const { store } = keeper
    const stored = store.lineage === undefined ? undefined : decodeLineage(store.lineage)
    const decision = this.#decide(
      description,
      stored?.binding,
      store.cursor,
      store.stats.entries > 0,
      finding,
    )
    const evictionSeen =
      stored?.binding.evictionSeen === true ||
      store.cursor.memo !== undefined ||
      ('evictionSeen' in decision && decision.evictionSeen)
    const binding = this.#bindingTo(description, evictionSeen, stored?.binding)
    switch (decision.action) {
      case 'foreign':
        if (this.#settings.onForeignFold === 'refuse') throw foreign(decision, store.cursor)
        await this.#parts.gate.run(() => keeper.replace())
        flusher.forget()
        return attachedTo(this.#bindingTo(description, false), [], 'initial', true)
      case 'refuse':
        throw refused(decision.reason, store.cursor)
      case 'rebuild':
        if (decision.reason !== 'countMismatch' && decision.reason !== 'cursorExpired') board.forgetHistory()
        return this.#startRebuild(description, binding, decision.reason)
      case 'fresh':
        return attachedTo(binding, [], 'initial', true)
      default:
        return attachedTo(binding, stored?.anchors ?? [], 'live', stored !== undefined)
    }
  }

  #decide(
    source: SourceDescription,
    binding: Binding | undefined,
    cursor: WatchCursor,
    populated: boolean,
    finding: RebuildReason | undefined,
  ): AttachDecision {
    const { prefixes, whenEvicted, repair } = this.#settings
    return protocol.attach({
      fold: { binding, cursor, populated },
      source,
      scope: prefixes,
      whenEvicted,
      repair,
      finding,
    })
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

  async #startRebuild(
    description: SourceDescription,
    binding: Binding,
    reason: RebuildReason,
  ): Promise<Attached | undefined> {
    this.#parts.board.dispatch({ type: 'rebuilding', reason })
    const bound = this.#bindingTo(description, binding.evictionSeen)
    this.#rebuild = await Rebuild.begin(this.#parts, this.#writer, { reason, binding: bound })
    return this.#rebuild === undefined ? undefined : attachedTo(bound, [], 'resync', true)
  }

  #unverified(description: SourceDescription, verifiedLineage: boolean): readonly Unverified[] {
    const { features } = this.#parts.keeper.store
    const unverified: Unverified[] = []
    if (!features.lineage || description.incarnation === undefined || !verifiedLineage)
      unverified.push('lineage')
    if (this.#audit.distrusted || !features.deletedKeys || description.keyCount === undefined)
      unverified.push('count')
    unverified.push('anchors')
    return unverified
  }

  async #watch(source: FollowSource, binding: Binding, first: ApplyPhase): Promise<FollowEnd> {
    const { keeper, board, waiters } = this.#parts
    const { scope, limits, emptyValues } = this.#settings
    const position = this.#rebuild?.cursor ?? keeper.store.cursor
    const from = binding.evictionSeen
      ? WatchCursor.fromToken(position.token, { evictionSeen: true })
      : position
    let phase = first
    let caughtUp = false
    const end = await withLinkedSignal(this.#signal, (signal, endSession) => {
      this.#endSession = endSession
      return runSession({
        batches: source.watcher.watch(scope, {
          ...(from.isNone ? {} : { after: from }),
          signal,
          emptyValues,
        }),
        limits,
        from,
        suspect: this.#suspect,
        signal,
        flush: (updates, bytes, cursor) =>
          this.#rebuild === undefined
            ? this.#writer.flush(updates, bytes, cursor, phase)
            : this.#rebuild.flush(updates, cursor),
        onPull: (pulling) => {
          this.#pulling = pulling
          if (!pulling) board.proof()
        },
        onDelivered: (newest) => board.heard(newest),
        hurry: () => waiters.size > 0,
        onCaughtUp: async () => {
          const outcome = await this.#caughtUp(source, binding)
          if (outcome !== 'committed') return outcome
          phase = 'live'
          caughtUp = true
          void this.#auditRepeatedly(source, binding, signal)
          return outcome
        },
      })
    })
    this.#pulling = false
    this.#endSession = undefined
    return this.#judge(end, caughtUp, !from.isNone)
  }

  async #caughtUp(source: FollowSource, binding: Binding): Promise<FlushOutcome> {
    const { board, keeper } = this.#parts
    const rebuild = this.#rebuild
    if (rebuild !== undefined) {
      const outcome = await rebuild.finish()
      if (outcome !== 'abandoned') this.#rebuild = undefined
      if (outcome !== 'committed') return outcome
      if (rebuild.inPlace && !keeper.replaceable) this.#audit.distrust()
    } else if (this.#writer.bindingDue) {
      const outcome = await this.#writer.flush([], 0, keeper.store.cursor, 'live')
      if (outcome !== 'committed') return outcome
    }
    if (this.#settings.auditIntervalMs !== false) {
      const result = await this.#audit.run(binding, () => this.#describe(source), rebuild?.reason)
      if (result.verdict === 'mend') {
        this.#finding = result.finding
        return 'restart'
      }
      if (this.#audit.distrusted && !board.unverified.includes('count'))
        board.unverified = ['count', ...board.unverified]
    }
    board.dispatch({ type: 'caughtUp' })
    return 'committed'
  }

  async #auditRepeatedly(source: FollowSource, binding: Binding, signal: AbortSignal): Promise<void> {
    const { auditIntervalMs } = this.#settings
    if (auditIntervalMs === false) return
    const verified = this.#parts.board.verifiedThrough !== undefined
    let delayMs = verified ? auditIntervalMs : FIRST_AUDIT_RETRY_MS
    for (;;) {
      await pause(Math.min(delayMs, auditIntervalMs), signal)
      if (signal.aborted) return
      const result = await this.#audit.run(binding, () => this.#describe(source), undefined)
      if (signal.aborted) return
      if (result.verdict === 'mend') {
        this.#finding = result.finding
        this.#endSession?.(result.finding)
        return
      }
      delayMs = result.verdict === 'wait' ? delayMs * 2 : auditIntervalMs
    }
  }

  #judge(end: SessionEnd, caughtUp: boolean, resumed: boolean): FollowEnd {
    if (this.#signal.aborted) return { why: 'aborted' }
    this.#suspect = end.why === 'reattach'
    if (end.why === 'rebuild') this.#finding = 'brokenLineage'
    if (this.#finding !== undefined) return this.#ended(this.#finding, caughtUp)
    if (end.why === 'reattach') return this.#ended('redelivered', caughtUp)
    if (end.why === 'restart') return this.#ended('storeReopened', caughtUp)
    if (end.why !== 'source') return this.#ended('silent', caughtUp)
    const code = KvError.is(end.error) ? end.error.code : undefined
    if (resumed && code === 'CursorExpired') this.#finding = 'cursorExpired'
    if (code === 'BucketRecreated') this.#finding = 'bucketRecreated'
    if (code === 'BucketRolledBack') this.#finding = 'bucketRolledBack'
    return { ...this.#ended(code ?? 'sourceEnded', caughtUp), error: end.error }
  }

  #ended(reason: string, caughtUp = false): FollowEnd & { readonly why: 'ended' } {
    return { why: 'ended', reason, caughtUp }
  }
}

interface Attached {
  readonly binding: Binding
  readonly lineage: Lineage
  readonly phase: ApplyPhase
  readonly verifiedLineage: boolean
}

function attachedTo(
  binding: Binding,
  anchors: Lineage['anchors'],
  phase: ApplyPhase,
  verifiedLineage: boolean,
): Attached {
  return { binding, lineage: { binding, anchors }, phase, verifiedLineage }
}

function foreign({ differs }: { readonly differs: string }, cursor: WatchCursor): SnapshotError {
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

import type { FlushOutcome } from '../apply/flusher.ts'
import { withLinkedSignal } from '../apply/linked-signal.ts'
import { runSession } from '../apply/session-loop.ts'
import type { FollowSource } from '../follow-source.ts'
import { protocol } from '../protocol/protocol.ts'
import type { WatchScope } from '../scope.ts'
import type { SourceDescription } from '../source.ts'
import type { SnapshotStore } from '../store.ts'
import { Unanswered } from './attach-decision.ts'
import { type Attached, Attachment } from './attachment.ts'
import { type AuditedSession, type AuditFinding, AuditSchedule } from './audit-schedule.ts'
import type { BoundLineage } from './bound-lineage.ts'
import { within } from './deadline.ts'
import type { FoldParts } from './fold-parts.ts'
import { FoldWriter } from './fold-writer.ts'
import type { FollowSettings } from './follow-settings.ts'
import { HistoryGuard } from './history-guard.ts'
import type { Rebuild } from './rebuild.ts'
import { RetentionGuard } from './retention-guard.ts'
import { type Carried, followEnd, type FollowEnd } from './session-end.ts'

const DESCRIBE_TIMEOUT_MS = 5_000
/** A watch that yields nothing for this many stale intervals is given up. */
const STUCK_INTERVALS = 3

/** Runs sessions one after the other, and remembers between them what the next has to know. */
export class SessionRunner<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  readonly #writer: FoldWriter<S, T>
  readonly #attachment: Attachment<S, T>
  readonly #audits: AuditSchedule<S, T>
  readonly #signal: AbortSignal
  #carried: Carried = { finding: undefined, suspect: false }
  /** Since when the source is waited for, monotonic; undefined while it is not. */
  #pullingSinceMs: number | undefined
  #end: ((reason: string) => void) | undefined
  /** Whether the store in use found damage in itself. */
  #damaged = false

  constructor(parts: FoldParts<S, T>, settings: FollowSettings, signal: AbortSignal) {
    this.#parts = parts
    this.#settings = settings
    this.#writer = new FoldWriter(parts)
    const guard = new HistoryGuard()
    this.#attachment = new Attachment(parts, settings, this.#writer, guard, signal, () =>
      this.#end?.('artifactFetched'),
    )
    this.#audits = new AuditSchedule(parts, settings, this.#writer, guard)
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
    if (!(await this.#replaceDamaged())) return { why: 'aborted' }
    const { finding } = this.#carried
    this.#carried = { ...this.#carried, finding: undefined }
    let attached: Attached | undefined
    try {
      attached = await this.#attachment.attach(source, description, finding)
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error
      this.#carried = { ...this.#carried, finding }
      return this.#signal.aborted ? { why: 'aborted' } : { why: 'unreachable', error: error.cause }
    }
    if (attached === undefined) return { why: 'ended', reason: 'storeReopened', caughtUp: false }
    board.heard(description.lastRevision)
    board.sessions++
    this.#writer.bind(attached.bound)
    board.unverified = this.#audits.unverified(source, description, attached)
    const { rebuild } = this.#attachment
    board.dispatch(
      rebuild === undefined ? { type: 'attached' } : { type: 'rebuilding', reason: rebuild.reason },
    )
    if (attached.phase !== 'live') flusher.forget()
    const describe = async (): Promise<SourceDescription> => {
      const again = await this.#describe(source)
      this.#noteEviction(again, attached.bound)
      return again
    }
    return this.#watch({ source, described: description, attached, describe, rebuiltFor: rebuild?.reason })
  }

  /** Ends a session whose source yields nothing although it is waited for. */
  endIfStuck(nowMs: number): void {
    if (this.#pullingSinceMs === undefined) return
    const silentForMs = nowMs - Math.max(this.#parts.board.lastProofMs, this.#pullingSinceMs)
    if (silentForMs >= STUCK_INTERVALS * this.#settings.staleAfterMs) this.#end?.('silent')
  }

  /** Drops a rebuild that was not finished; the fold in use keeps all there is to remember. */
  async close(): Promise<void> {
    if (this.#signal.aborted && this.#attachment.rebuild === undefined) await this.#writer.settle()
    await this.#attachment.close()
  }

  /** The commit that a damaged store refuses makes the writer open the fold again. False when the caller ended. */
  async #replaceDamaged(): Promise<boolean> {
    if (!this.#damaged) return true
    this.#damaged = false
    if ((await this.#attachment.giveUp()) !== 'committed') return false
    const { cursor } = this.#parts.keeper.figures
    return (await this.#writer.flush([], 0, cursor, { phase: 'live' })) !== 'abandoned'
  }

  /** A bucket that begins to evict is remembered with the next commit. */
  #noteEviction(described: SourceDescription, bound: BoundLineage): void {
    const { whenEvicted } = this.#settings
    const { evictsCurrentValues, evictsOldestFirst, firstRevision } = described
    const { evictionSeen: before } = bound.binding
    const retention = { whenEvicted, evictsCurrentValues, evictsOldestFirst, firstRevision }
    if (!before && protocol.sawEviction({ ...retention, before })) bound.markEviction()
  }

  #describe(source: FollowSource, scope: WatchScope = this.#settings.scope): Promise<SourceDescription> {
    const options = { signal: this.#signal, timeoutMs: DESCRIBE_TIMEOUT_MS }
    return within(source.watcher.describe(scope, options), {
      ...options,
      what: `describing ${source.name}`,
    })
  }

  async #watch(session: AuditedSession): Promise<FollowEnd> {
    const { board, keeper, waiters } = this.#parts
    const { source, attached } = session
    const { scope, limits, emptyValues } = this.#settings
    const from = this.#attachment.rebuild?.cursor ?? keeper.store.cursor
    let { phase } = attached
    let caughtUp = false
    let endedFor: string | undefined
    let found: AuditFinding | undefined
    const retention = new RetentionGuard()
    const { bound } = attached
    const end = await withLinkedSignal(this.#signal, (signal, abort) => {
      const endSession = (reason: string): void => {
        if (signal.aborted) return
        endedFor = reason
        abort(reason)
      }
      this.#end = endSession
      const stopListening = keeper.store.whenDamaged?.(() => {
        this.#damaged = true
        endSession('storeDamaged')
      })
      signal.addEventListener('abort', () => stopListening?.())
      const endWith = (finding: AuditFinding | undefined): void => {
        if (finding === undefined) return
        found = finding
        endSession(finding.reason)
      }
      const misses = async (): Promise<boolean> => {
        const describe = (): Promise<SourceDescription> => this.#describe(source, 'all')
        try {
          if (!(await retention.isOverrun(describe, bound.binding.evictionSeen))) return false
          endWith({ verdict: 'mend', reason: 'cursorExpired' })
        } catch {
          endSession('unanswered')
        }
        return true
      }
      return runSession({
        open: () =>
          source.watcher.watch(scope, {
            ...(from.isNone ? {} : { after: from }),
            signal,
            emptyValues,
          }),
        limits,
        from,
        suspect: this.#carried.suspect,
        signal,
        flush: async (updates, bytes, cursor, settled) => {
          if (await misses()) return 'abandoned'
          const { rebuild } = this.#attachment
          if (rebuild !== undefined) return await rebuild.flush(updates, cursor, settled)
          return await this.#writer.flush(updates, bytes, cursor, { phase, settled })
        },
        onBegun: async () => {
          try {
            const describe = (): Promise<SourceDescription> => this.#describe(source, 'all')
            if ((await attached.proveAgain?.(signal, describe)) !== false) return true
            endSession('unproven')
          } catch {
            endSession('unanswered')
          }
          return false
        },
        onPull: () => (this.#pullingSinceMs = performance.now()),
        onArrival: (receivedAtMs) => {
          this.#pullingSinceMs = undefined
          board.proof(receivedAtMs)
        },
        onDelivered: (newest) => board.heard(newest),
        onGap: (after) => {
          if (this.#settings.whenEvicted === 'drop') return
          // What was evicted before it was hydrated the fold never had. What comes later must not be missed.
          const { lastRevision = 0n } = session.described
          const from = phase === 'live' || after > lastRevision ? after : lastRevision
          retention.noteGap(from, bound.ring.newest?.timeMs ?? keeper.store.cursor.memo?.serverTimeMs)
        },
        hurry: () => waiters.size > 0,
        cut: this.#audits.cut,
        onCaughtUp: async () => {
          const outcome = await this.#caughtUp(session, (finding) => (found = finding))
          if (outcome !== 'committed') return outcome
          phase = 'live'
          caughtUp = true
          void this.#audits
            .untilFinding(session, signal, () => board.dispatch({ type: 'caughtUp' }))
            .then(endWith, () => endSession('auditFailed'))
          return outcome
        },
      })
    })
    this.#pullingSinceMs = undefined
    this.#end = undefined
    const result = followEnd({
      end,
      aborted: this.#signal.aborted,
      endedFor: endedFor ?? found?.reason,
      finding: found?.verdict === 'mend' ? found.reason : undefined,
      resumed: !from.isNone,
      caughtUp,
    })
    this.#carried = result.carried
    return result.end
  }

  async #caughtUp(
    session: AuditedSession,
    onFinding: (finding: AuditFinding) => void,
  ): Promise<FlushOutcome> {
    const { board, keeper } = this.#parts
    const { rebuild } = this.#attachment
    if (rebuild !== undefined) {
      if (!(await this.#mayReplace(session, rebuild, onFinding))) return 'restart'
      const outcome = await rebuild.finish()
      if (outcome !== 'committed') return outcome
      if (rebuild.inPlace && !keeper.replaceable) this.#audits.distrustCount()
    } else if (this.#writer.bindingDue) {
      const outcome = await this.#writer.flush([], 0, keeper.store.cursor, { phase: 'live' })
      if (outcome !== 'committed') return outcome
    }
    this.#attachment.caughtUp()
    const finding = await this.#audits.atCaughtUp(session)
    if (finding !== undefined) {
      onFinding(finding)
      return 'restart'
    }
    if (!this.#audits.listsFirst(session)) board.dispatch({ type: 'caughtUp' })
    return 'committed'
  }

  /**
   * A listing that was the truth when a rebuild began is none when the bucket evicted before it was
   * complete. What is evicted after that was delivered.
   */
  async #mayReplace(
    { describe }: AuditedSession,
    rebuild: Rebuild<S, T>,
    onFinding: (finding: AuditFinding) => void,
  ): Promise<boolean> {
    if (this.#settings.whenEvicted === 'drop') return true
    const described = await describe().catch(() => undefined)
    if (described === undefined) return false
    if (this.#attachment.mayReplace(rebuild, described)) return true
    if ((await this.#attachment.giveUp()) !== 'committed') return false
    onFinding({ verdict: 'mend', reason: rebuild.reason })
    return false
  }
}

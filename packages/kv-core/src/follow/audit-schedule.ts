import { pause } from '../apply/back-off.ts'
import type { FollowSource } from '../follow-source.ts'
import type { RebuildReason } from '../protocol/attach.ts'
import type { SourceDescription } from '../source.ts'
import type { SnapshotStore } from '../store.ts'
import type { Attached } from './attachment.ts'
import { AuditCut } from './audit-cut.ts'
import { type AuditResult, CountAudit, keepsHistory } from './count-audit.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FoldWriter } from './fold-writer.ts'
import type { FollowSettings } from './follow-settings.ts'
import type { HistoryGuard } from './history-guard.ts'
import type { FoldHistory } from './history-proof.ts'
import { ListingAudit } from './listing-audit.ts'
import type { Unverified } from './status.ts'

const FIRST_RETRY_MS = 250
/** Listings take no more than one part in this many of the time. */
const LISTING_SHARE = 20

/** A result after which the session has to end. */
export type AuditFinding = Extract<AuditResult, { readonly reason: RebuildReason }>

/** A session whose fold is audited. */
export interface AuditedSession {
  readonly source: FollowSource
  /** What the source said of itself when the session began. */
  readonly described: SourceDescription
  readonly attached: Attached
  /** Asks again. */
  readonly describe: () => Promise<SourceDescription>
  /** Why the fold was built anew a moment ago. */
  readonly rebuiltFor: RebuildReason | undefined
}

/** When audits run: as soon as a session has caught up, and at the interval while it lasts. */
export class AuditSchedule<S extends SnapshotStore, T> {
  /** Where an audit wants to look at the fold. */
  readonly cut: AuditCut = new AuditCut()
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  readonly #writer: FoldWriter<S, T>
  readonly #guard: HistoryGuard
  readonly #count: CountAudit<S, T>
  readonly #listing: ListingAudit<S, T>
  #revisionsDistrusted = false

  constructor(
    parts: FoldParts<S, T>,
    settings: FollowSettings,
    writer: FoldWriter<S, T>,
    guard: HistoryGuard,
  ) {
    this.#parts = parts
    this.#settings = settings
    this.#writer = writer
    this.#guard = guard
    this.#count = new CountAudit(parts, settings)
    this.#listing = new ListingAudit(parts, settings, writer)
  }

  /** The fold keeps names of deleted keys that the bucket never had. */
  distrustCount(): void {
    this.#count.distrust()
  }

  /** Which checks are off. */
  unverified(source: FollowSource, described: SourceDescription, attached: Attached): readonly Unverified[] {
    const { features } = this.#parts.keeper.store
    const unverified: Unverified[] = []
    if (!features.lineage || described.incarnation === undefined || !attached.verifiedLineage)
      unverified.push('lineage')
    const { binding } = attached.bound
    const counts = features.deletedKeys && described.keyCount !== undefined && !this.#count.distrusted
    if (!counts || !this.#listing.isTruth(described, binding)) unverified.push('count')
    if (source.watcher.history === undefined || !attached.provenHistory) unverified.push('anchors')
    if (
      keepsHistory(described) &&
      (this.#revisionsDistrusted || !this.#listing.isPossible(source, described, binding))
    )
      unverified.push('revisions')
    return unverified
  }

  /** Whether a listing is the first audit of this session, so that nothing is claimed before it. */
  listsFirst({ source, described, attached }: AuditedSession): boolean {
    const wanted = attached.reconcile || (keepsHistory(described) && this.#settings.auditIntervalMs !== false)
    return wanted && this.#listing.isPossible(source, described, attached.bound.binding)
  }

  /** While the session waits, so that only a bucket that stands still can be compared. */
  async atCaughtUp(session: AuditedSession, signal: AbortSignal): Promise<AuditFinding | undefined> {
    if (this.#settings.auditIntervalMs === false) return undefined
    const { attached, describe, rebuiltFor } = session
    const result = await this.#count.run(attached.bound.binding, describe, { rebuiltFor, signal })
    this.#noteCount(result)
    return 'reason' in result ? result : undefined
  }

  /**
   * Resolves with the first finding, or with undefined when `signal` aborts. `onListed` is called when the
   * listing that comes first has found nothing.
   */
  async untilFinding(
    session: AuditedSession,
    signal: AbortSignal,
    onListed: () => void,
  ): Promise<AuditFinding | undefined> {
    let listingDueMs = Infinity
    const list = async (rebuiltFor?: RebuildReason): Promise<AuditResult> => {
      const beganMs = performance.now()
      const result = await this.#list(session, rebuiltFor, signal)
      const endedMs = performance.now()
      listingDueMs = result.verdict === 'wait' ? 0 : endedMs + LISTING_SHARE * (endedMs - beganMs)
      return result
    }
    if (this.listsFirst(session)) {
      const finding = await this.#listFirst(session, list, signal)
      if (finding !== undefined || signal.aborted) return finding
      onListed()
    }
    const intervalMs = this.#settings.auditIntervalMs
    if (intervalMs === false) return undefined
    // Of a fold that was just made only whether the bucket may be asked: the next audit asks what it says.
    if (session.attached.provenHistory && !this.#guard.hasProof) await this.#askHistory(session, signal)
    let delayMs = this.#parts.board.verifiedThrough === undefined ? FIRST_RETRY_MS : intervalMs
    for (;;) {
      await pause(Math.min(delayMs, intervalMs), signal)
      if (signal.aborted) return undefined
      const { cut } = this
      const counted = await this.#count.run(session.attached.bound.binding, session.describe, { cut, signal })
      if (signal.aborted) return undefined
      if ('reason' in counted) return counted
      this.#noteCount(counted)
      const contradicted = await this.#askHistory(session, signal)
      if (contradicted !== undefined) return contradicted
      if (performance.now() >= listingDueMs) {
        const listed = await list()
        if (signal.aborted) return undefined
        if ('reason' in listed) return listed
      }
      if (counted.verdict === 'equal' || this.#writer.bindingDue) await this.#writer.settle()
      delayMs = counted.verdict === 'wait' ? delayMs * 2 : intervalMs
    }
  }

  /** Until a listing decides, where the fold cannot be trusted before; once, where only its values are in doubt. */
  async #listFirst(
    { attached, rebuiltFor }: AuditedSession,
    list: (rebuiltFor?: RebuildReason) => Promise<AuditResult>,
    signal: AbortSignal,
  ): Promise<AuditFinding | undefined> {
    for (let delayMs = FIRST_RETRY_MS; ; delayMs *= 2) {
      const result = await list(rebuiltFor)
      if (signal.aborted) return undefined
      if ('reason' in result) return result
      if (result.verdict === 'equal' && attached.reconcile) {
        this.#guard.accept(this.#history(attached))
        this.#isOn('anchors')
      }
      if (result.verdict !== 'wait' || !attached.reconcile) return undefined
      await pause(Math.min(delayMs, this.#settings.auditIntervalMs || 60_000), signal)
    }
  }

  async #list(
    { source, described, attached, describe }: AuditedSession,
    rebuiltFor: RebuildReason | undefined,
    signal: AbortSignal,
  ): Promise<AuditResult> {
    const { bound } = attached
    const verdict = await this.#listing.run(source, described, bound.binding, signal)
    if (verdict === 'equal') {
      this.#revisionsDistrusted = false
      this.#isOn('revisions')
    }
    if (verdict !== 'rebuild') return { verdict }
    if (bound.binding.whenEvicted === 'keep') {
      // What the listing lacks may have been evicted while it was made.
      const again = await describe().catch(() => undefined)
      if (again === undefined) return { verdict: 'wait' }
      if (!this.#listing.isTruth(again, bound.binding)) return { verdict: 'off' }
    }
    if (rebuiltFor === 'revisionMismatch') this.#revisionsDistrusted = true
    if (!this.#revisionsDistrusted) return { verdict: 'mend', reason: 'revisionMismatch' }
    this.#isOff('revisions')
    return { verdict: 'off' }
  }

  /** The anchors are compared at the interval too: a server may be put back under a session that goes on. */
  async #askHistory(
    { source, attached, described: { historyPerKey } }: AuditedSession,
    signal: AbortSignal,
  ): Promise<AuditFinding | undefined> {
    const { history } = source.watcher
    if (history === undefined) return undefined
    const { scope } = this.#settings
    try {
      const question = { history, scope, historyPerKey, signal }
      const verdict = await this.#guard.inSession(this.#history(attached), question)
      if (verdict === undefined) this.#isOff('anchors')
      else if (verdict === 'same' && attached.provenHistory) this.#isOn('anchors')
      if (verdict === 'other') return { verdict: 'reattach', reason: 'bucketRolledBack' }
      if (verdict === 'differs') return { verdict: 'reattach', reason: 'revisionMismatch' }
    } catch {
      // A source that does not answer ends its session by itself.
    }
    return undefined
  }

  #history({ bound: { ring } }: Attached): FoldHistory {
    // A batch that is being committed is remembered before the cursor moves.
    const newest = ring.anchors.at(-1)?.revision ?? 0n
    const { revision = 0n } = this.#parts.keeper.figures.cursor
    return { ring, cursor: newest > revision ? newest : revision }
  }

  /** Under `keep` it is off from when the bucket evicts. */
  #noteCount({ verdict }: AuditResult): void {
    if (verdict === 'off') this.#isOff('count')
    else if (verdict === 'equal') this.#isOn('count')
  }

  #isOn(check: Unverified): void {
    const { board } = this.#parts
    board.unverified = board.unverified.filter((each) => each !== check)
  }

  #isOff(check: Unverified): void {
    const { board } = this.#parts
    if (!board.unverified.includes(check)) board.unverified = [...board.unverified, check]
  }
}

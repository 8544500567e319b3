import { pause } from '../apply/back-off.ts'
import type { FollowSource } from '../follow-source.ts'
import type { RebuildReason } from '../protocol/attach.ts'
import type { SourceDescription } from '../source.ts'
import type { SnapshotStore } from '../store.ts'
import type { Attached } from './attachment.ts'
import { AuditClaim } from './audit-claim.ts'
import { AuditCut } from './audit-cut.ts'
import { type AuditResult, CountAudit, keepsHistory } from './count-audit.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FoldWriter } from './fold-writer.ts'
import type { FollowSettings } from './follow-settings.ts'
import type { HistoryGuard } from './history-guard.ts'
import { ListingAudit, type ListingVerdict } from './listing-audit.ts'
import { Overdue } from './overdue.ts'
import type { Unverified } from './status.ts'

/** An audit that could say nothing is made again after this time, and after twice as long when it cannot again. */
const FIRST_RETRY_MS = 250
/** So long after an audit was due it has to have said something, or the status says that it does not. */
const OVERDUE_MS = 750
/** Listings that take longer than this take no more than one part in `LISTING_SHARE` of the time beyond it. */
const LISTING_FREE_MS = 250
const LISTING_SHARE = 20

/** A result after which the session has to end. */
export type AuditFinding = Extract<AuditResult, { readonly reason: RebuildReason }>

type ListingResult = { readonly verdict: Exclude<ListingVerdict, 'rebuild'> } | AuditFinding

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
  readonly cut: AuditCut
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  readonly #writer: FoldWriter<S, T>
  readonly #claim: AuditClaim<S, T>
  readonly #count: CountAudit<S, T>
  readonly #listing: ListingAudit<S, T>
  #revisionsDistrusted = false
  /** Where the counts were equal when the session had caught up. */
  #equalAt: bigint | undefined

  constructor(
    parts: FoldParts<S, T>,
    settings: FollowSettings,
    writer: FoldWriter<S, T>,
    guard: HistoryGuard,
  ) {
    this.#parts = parts
    this.#settings = settings
    this.#writer = writer
    this.cut = new AuditCut(settings.staleAfterMs)
    this.#claim = new AuditClaim(parts, settings, guard, this.cut)
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
  async atCaughtUp({ attached, describe, rebuiltFor }: AuditedSession): Promise<AuditFinding | undefined> {
    this.#equalAt = undefined
    if (this.#settings.auditIntervalMs === false) return undefined
    const result = await this.#count.atRest(attached.bound.binding, describe, rebuiltFor)
    this.#noteCount(result)
    if (result.verdict === 'equal') this.#equalAt = result.through
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
    const list = async (rebuiltFor?: RebuildReason): Promise<ListingResult> => {
      const beganMs = performance.now()
      const result = await this.#list(session, rebuiltFor, signal)
      const endedMs = performance.now()
      const beyondMs = Math.max(0, endedMs - beganMs - LISTING_FREE_MS)
      listingDueMs = result.verdict === 'wait' ? 0 : endedMs + LISTING_SHARE * beyondMs
      return result
    }
    if (this.listsFirst(session)) {
      const finding = await this.#listFirst(session, list, signal)
      if (finding !== undefined || signal.aborted) return finding
      onListed()
    }
    const intervalMs = this.#settings.auditIntervalMs
    if (intervalMs === false) return undefined
    const listIfDue = async (): Promise<ListingResult | undefined> =>
      performance.now() >= listingDueMs ? await list() : undefined
    const { board } = this.#parts
    const overdue = new Overdue(intervalMs + OVERDUE_MS, () => board.setCheck('count', 'off'))
    try {
      return await this.#atIntervals(session, intervalMs, { signal, overdue, listIfDue })
    } finally {
      overdue.stop()
    }
  }

  async #atIntervals(
    session: AuditedSession,
    intervalMs: number,
    {
      signal,
      overdue,
      listIfDue,
    }: {
      readonly signal: AbortSignal
      readonly overdue: Overdue
      readonly listIfDue: () => Promise<ListingResult | undefined>
    },
  ): Promise<AuditFinding | undefined> {
    const { binding } = session.attached.bound
    overdue.start()
    let claimed: AuditFinding | boolean = false
    // Of a fold that was just made it is asked too whether the bucket may be asked.
    if (this.#equalAt !== undefined || (session.attached.provenHistory && !this.#claim.hasProof))
      claimed = await this.#claim.make(session, this.#equalAt, signal)
    let waits = claimed === true ? 0 : 1
    while (typeof claimed === 'boolean') {
      const delayMs = waits === 0 ? intervalMs : FIRST_RETRY_MS * 2 ** (waits - 1)
      await pause(Math.min(delayMs, intervalMs), signal)
      if (signal.aborted) return undefined
      const counted = await this.#count.run(binding, session.describe, this.cut, signal)
      if (signal.aborted) return undefined
      if ('reason' in counted) return counted
      this.#noteCount(counted)
      const through = counted.verdict === 'equal' ? counted.through : undefined
      claimed = await this.#claim.make(session, through, signal)
      if (signal.aborted) return undefined
      const listed = await listIfDue()
      if (signal.aborted) return undefined
      if (listed !== undefined && 'reason' in listed) return listed
      waits = claimed === true || counted.verdict === 'off' ? 0 : waits + 1
      if (waits === 0) overdue.start()
      if (claimed === true || this.#writer.bindingDue) await this.#writer.settle()
    }
    return claimed
  }

  /** Until a listing decides, where the fold cannot be trusted before; once, where only its values are in doubt. */
  async #listFirst(
    { attached, rebuiltFor }: AuditedSession,
    list: (rebuiltFor?: RebuildReason) => Promise<ListingResult>,
    signal: AbortSignal,
  ): Promise<AuditFinding | undefined> {
    for (let delayMs = FIRST_RETRY_MS; ; delayMs *= 2) {
      const result = await list(rebuiltFor)
      if (signal.aborted) return undefined
      if ('reason' in result) return result
      if (result.verdict === 'equal' && attached.reconcile) {
        this.#claim.accept(attached)
        attached.bound.trust()
        this.#parts.board.setCheck('anchors', 'on')
      }
      if (result.verdict !== 'wait' || !attached.reconcile) return undefined
      await pause(Math.min(delayMs, this.#settings.auditIntervalMs || 60_000), signal)
    }
  }

  async #list(
    { source, described, attached, describe }: AuditedSession,
    rebuiltFor: RebuildReason | undefined,
    signal: AbortSignal,
  ): Promise<ListingResult> {
    const { bound } = attached
    const verdict = await this.#listing.run(source, described, bound.binding, signal)
    if (verdict === 'equal') {
      this.#revisionsDistrusted = false
      this.#parts.board.setCheck('revisions', 'on')
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
    this.#parts.board.setCheck('revisions', 'off')
    return { verdict: 'off' }
  }

  /** Under `keep` it is off from when the bucket evicts. */
  #noteCount({ verdict }: AuditResult): void {
    const { board } = this.#parts
    if (verdict === 'off') board.setCheck('count', 'off')
    else if (verdict === 'equal') board.setCheck('count', 'on')
  }
}

import { pause } from '../apply/back-off.ts'
import type { SnapshotStore } from '../store.ts'
import type { FollowSource } from '../follow-source.ts'
import type { Binding } from '../lineage.ts'
import type { RebuildReason } from '../protocol/attach.ts'
import type { SourceDescription } from '../source.ts'
import { type AuditResult, CountAudit } from './count-audit.ts'
import type { Attached } from './attachment.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FollowSettings } from './follow-settings.ts'
import type { Unverified } from './status.ts'

const FIRST_RETRY_MS = 250

/** A result after which the session has to end. */
export type AuditFinding = Extract<AuditResult, { readonly reason: RebuildReason }>

/** When the audit runs: as soon as a session has caught up, and at the interval while it lasts. */
export class AuditSchedule<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  readonly #intervalMs: number | false
  readonly #audit: CountAudit<S, T>

  constructor(parts: FoldParts<S, T>, settings: FollowSettings) {
    this.#parts = parts
    this.#intervalMs = settings.auditIntervalMs
    this.#audit = new CountAudit(parts, settings)
  }

  /** The fold keeps names of deleted keys that the bucket never had. */
  distrustCount(): void {
    this.#audit.distrust()
  }

  /** Which checks are off. */
  unverified(
    source: FollowSource,
    described: SourceDescription,
    { verifiedLineage, provenHistory }: Attached,
  ): readonly Unverified[] {
    const { features } = this.#parts.keeper.store
    const unverified: Unverified[] = []
    if (!features.lineage || described.incarnation === undefined || !verifiedLineage)
      unverified.push('lineage')
    if (this.#audit.distrusted || !features.deletedKeys || described.keyCount === undefined)
      unverified.push('count')
    if (source.watcher.history === undefined || !provenHistory) unverified.push('anchors')
    return unverified
  }

  /** `rebuiltFor` is why the fold was built anew a moment ago. */
  async atCaughtUp(
    binding: Binding,
    describe: () => Promise<SourceDescription>,
    rebuiltFor: RebuildReason | undefined,
  ): Promise<AuditFinding | undefined> {
    if (this.#intervalMs === false) return undefined
    const result = await this.#audit.run(binding, describe, rebuiltFor)
    const { board } = this.#parts
    if (this.#audit.distrusted && !board.unverified.includes('count'))
      board.unverified = ['count', ...board.unverified]
    return 'reason' in result ? result : undefined
  }

  /** Resolves with the first finding, or with undefined when `signal` aborts. */
  async untilFinding(
    binding: Binding,
    describe: () => Promise<SourceDescription>,
    signal: AbortSignal,
  ): Promise<AuditFinding | undefined> {
    const intervalMs = this.#intervalMs
    if (intervalMs === false) return undefined
    const verified = this.#parts.board.verifiedThrough !== undefined
    let delayMs = verified ? intervalMs : FIRST_RETRY_MS
    for (;;) {
      await pause(Math.min(delayMs, intervalMs), signal)
      if (signal.aborted) return undefined
      const result = await this.#audit.run(binding, describe, undefined)
      if (signal.aborted) return undefined
      if ('reason' in result) return result
      delayMs = result.verdict === 'wait' ? delayMs * 2 : intervalMs
    }
  }
}

import type { Binding } from '../lineage.ts'
import type { RebuildReason } from '../protocol/attach.ts'
import { protocol } from '../protocol/protocol.ts'
import type { SourceDescription } from '../source.ts'
import type { SnapshotStore } from '../store.ts'
import { attachDecision } from './attachment.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FollowSettings } from './follow-settings.ts'

/**
 * `mend` and `reattach`: the session has to end, for this reason; only the former is a finding that
 * the next description may not take back. `wait`: nothing can be said at this moment.
 */
export type AuditResult =
  | { readonly verdict: 'equal' | 'wait' | 'off' }
  | { readonly verdict: 'mend' | 'reattach'; readonly reason: RebuildReason }

/** Compares the fold's number of keys with the bucket's, over the life of a follower. */
export class CountAudit<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  #distrusted = false

  constructor(parts: FoldParts<S, T>, settings: FollowSettings) {
    this.#parts = parts
    this.#settings = settings
  }

  /** Whether the two counts are known to count different things. */
  get distrusted(): boolean {
    return this.#distrusted
  }

  /** The fold keeps names of deleted keys that the bucket never had. */
  distrust(): void {
    this.#distrusted = true
  }

  /**
   * `rebuiltFor` is why the fold was listed anew a moment ago. A source that does not answer is `wait`:
   * its session ends by itself.
   */
  async run(
    binding: Binding,
    describe: () => Promise<SourceDescription>,
    rebuiltFor: RebuildReason | undefined,
  ): Promise<AuditResult> {
    const { keeper, board } = this.#parts
    const { store } = keeper
    const before = keeper.figures.cursor
    let source: SourceDescription
    try {
      source = await describe()
    } catch {
      return { verdict: 'wait' }
    }
    board.heard(source.lastRevision)
    const attachable = attachDecision(this.#settings, source, { binding, cursor: before, populated: true })
    if (attachable.action === 'rebuild' && attachable.history === 'other')
      return { verdict: 'reattach', reason: attachable.reason }
    // The count speaks of the instant of the answer: only an untouched fold can be compared with it.
    if (!keeper.isOpen || keeper.store !== store || !store.cursor.equals(before)) return { verdict: 'wait' }
    const verdict = protocol.audit({
      appliedRevision: before.isNone ? 0n : before.revision,
      lastRevision: source.lastRevision,
      keyCount: source.keyCount,
      foldCount: this.#foldCount(),
      whenEvicted: binding.whenEvicted,
      evictsCurrentValues: source.evictsCurrentValues,
      firstRevision: source.firstRevision,
      evictionSeen: binding.evictionSeen,
    })
    if (verdict === 'equal') {
      this.#distrusted = false
      if (!keepsHistory(source)) board.verifiedThrough = source.lastRevision
    }
    if (verdict !== 'rebuild') return { verdict }
    if (rebuiltFor === 'countMismatch') this.#distrusted = true
    return this.#distrusted ? { verdict: 'off' } : { verdict: 'mend', reason: 'countMismatch' }
  }

  #foldCount(): bigint | undefined {
    const { keeper, oversize } = this.#parts
    const { entries, deletedKeys } = keeper.store.stats
    return keeper.store.features.deletedKeys ? BigInt(entries + deletedKeys + oversize.unnamed) : undefined
  }
}

/** Whether a bucket keeps more than one revision of a key: then equal counts prove keys and not values. */
export function keepsHistory({ historyPerKey }: SourceDescription): boolean {
  return historyPerKey !== undefined && historyPerKey > 1
}

import type { Binding } from '../lineage.ts'
import type { RebuildReason } from '../protocol/attach.ts'
import { protocol } from '../protocol/protocol.ts'
import type { SourceDescription } from '../source.ts'
import type { SnapshotStore } from '../store.ts'
import { attachDecision } from './attachment.ts'
import type { AuditCut } from './audit-cut.ts'
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
   * its session ends by itself. Without a `cut` only a bucket that stands still can be compared.
   */
  async run(
    binding: Binding,
    describe: () => Promise<SourceDescription>,
    options: {
      readonly rebuiltFor?: RebuildReason | undefined
      readonly cut?: AuditCut
      readonly signal: AbortSignal
    },
  ): Promise<AuditResult> {
    const { board } = this.#parts
    const first = await this.#look(binding, describe)
    if ('verdict' in first) return first
    if (first.count !== undefined) return this.#judge(binding, first.source, first.count, options)
    const { cut, signal } = options
    const { lastRevision } = first.source
    if (cut === undefined || lastRevision === undefined) return { verdict: 'wait' }
    const count = await cut.at(lastRevision, () => this.#foldCount(), signal)
    const second = await this.#look(binding, describe)
    if ('verdict' in second || count === undefined) return { verdict: 'wait' }
    board.heard(second.source.lastRevision)
    if (second.count !== undefined) return this.#judge(binding, second.source, second.count, options)
    const later = await cut.at(second.source.lastRevision ?? lastRevision, () => this.#foldCount(), signal)
    if (later === undefined) return { verdict: 'wait' }
    return this.#judge(binding, first.source, count, { ...options, later })
  }

  /** What the source says, and how many keys the fold had then, if it stood where the source does. */
  async #look(
    binding: Binding,
    describe: () => Promise<SourceDescription>,
  ): Promise<AuditResult | { readonly source: SourceDescription; readonly count: bigint | undefined }> {
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
    const applied = before.isNone ? 0n : before.revision
    if (applied === undefined || source.keyCount === undefined || !store.features.deletedKeys)
      return { verdict: 'off' }
    // The count speaks of the instant of the answer: only an untouched fold can be compared with it.
    const stoodStill = keeper.isOpen && keeper.store === store && store.cursor.equals(before)
    return { source, count: stoodStill && applied === source.lastRevision ? this.#foldCount() : undefined }
  }

  #judge(
    binding: Binding,
    source: SourceDescription,
    foldCount: bigint,
    { rebuiltFor, later }: { readonly rebuiltFor?: RebuildReason | undefined; readonly later?: bigint },
  ): AuditResult {
    const verdict = protocol.audit({
      appliedRevision: source.lastRevision,
      lastRevision: source.lastRevision,
      keyCount: source.keyCount,
      foldCount,
      laterFoldCount: later,
      whenEvicted: binding.whenEvicted,
      evictsCurrentValues: source.evictsCurrentValues,
      evictsOldestFirst: source.evictsOldestFirst,
      firstRevision: source.firstRevision,
      evictionSeen: binding.evictionSeen,
    })
    if (verdict === 'equal') {
      this.#distrusted = false
      if (!keepsHistory(source)) this.#parts.board.verifiedThrough = source.lastRevision
    }
    if (verdict !== 'rebuild') return { verdict }
    if (rebuiltFor === 'countMismatch') this.#distrusted = true
    return this.#distrusted ? { verdict: 'off' } : { verdict: 'mend', reason: 'countMismatch' }
  }

  #foldCount(): bigint {
    const { keeper, oversize } = this.#parts
    const { entries, deletedKeys } = keeper.store.stats
    return BigInt(entries + deletedKeys + oversize.unnamed)
  }
}

/** Whether a bucket keeps more than one revision of a key: then equal counts prove keys and not values. */
export function keepsHistory({ historyPerKey }: SourceDescription): boolean {
  return historyPerKey !== undefined && historyPerKey > 1
}

import type { Binding } from '../lineage.ts'
import type { RebuildReason } from '../protocol/attach.ts'
import type { KeyCounts } from '../protocol/audit.ts'
import { protocol } from '../protocol/protocol.ts'
import type { SourceDescription } from '../source.ts'
import type { SnapshotStore } from '../store.ts'
import { attachDecision } from './attach-decision.ts'
import type { AuditCut, Reached } from './audit-cut.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FollowSettings } from './follow-settings.ts'

/**
 * `equal`: at `through`. `mend` and `reattach`: the session has to end, for this reason; only the former
 * is a finding that the next description may not take back. `wait`: nothing can be said at this moment.
 */
export type AuditResult =
  | { readonly verdict: 'equal'; readonly through: bigint }
  | { readonly verdict: 'wait' | 'off' }
  | { readonly verdict: 'mend' | 'reattach'; readonly reason: RebuildReason }

/** The bucket and the fold at one revision. */
interface Look {
  readonly source: SourceDescription
  readonly lastRevision: bigint
  readonly keyCount: bigint
  readonly foldCount: bigint
  readonly undelivered: bigint
}

/** How often one audit looks: under writers one look alone often says nothing. */
const MOST_LOOKS = 4
const LOOKS_WITHIN_MS = 500

const FIRST_DOUBT_MS = 60_000
const MOST_DOUBT_MS = 24 * 3_600_000

/** When a fold is listed again although listing it did not make the counts equal. */
interface Doubt {
  readonly againAtMs: number
  readonly delayMs: number
}

/** Listings for a wrong count in a row, none of which made the counts equal. */
interface Listed {
  readonly listings: number
  readonly counts: KeyCounts
}

/** Compares the fold's number of keys with the bucket's, over the life of a follower. */
export class CountAudit<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  #doubt: Doubt | undefined
  #listed: Listed | undefined

  constructor(parts: FoldParts<S, T>, settings: FollowSettings) {
    this.#parts = parts
    this.#settings = settings
  }

  /** Whether a fold that was just listed had another count all the same. */
  get distrusted(): boolean {
    return this.#doubt !== undefined
  }

  /** The fold keeps names of deleted keys that the bucket never had: no listing changes that. */
  distrust(): void {
    this.#doubt = { againAtMs: Infinity, delayMs: Infinity }
  }

  /**
   * While the session waits, so that only a bucket that stands still can be compared. `rebuiltFor` is why
   * the fold was listed anew a moment ago.
   */
  async atRest(
    binding: Binding,
    describe: () => Promise<SourceDescription>,
    rebuiltFor: RebuildReason | undefined,
  ): Promise<AuditResult> {
    const look = await this.#look(binding, describe, async (lastRevision) => {
      const { cursor } = this.#parts.keeper.figures
      const stands = (cursor.isNone ? 0n : cursor.revision) === lastRevision
      return stands ? { seen: this.#foldCount(), undelivered: 0n } : undefined
    })
    return 'verdict' in look ? look : this.#concluded(this.#judge(binding, look), look, rebuiltFor)
  }

  /** Beside a session that goes on. A source that does not answer is `wait`: its session ends by itself. */
  async run(
    binding: Binding,
    describe: () => Promise<SourceDescription>,
    cut: AuditCut,
    signal: AbortSignal,
  ): Promise<AuditResult> {
    const startedMs = performance.now()
    let earlier: Look | undefined
    for (let i = 0; i < MOST_LOOKS; i++) {
      if (i > 1 && performance.now() - startedMs > LOOKS_WITHIN_MS) break
      const hold = cut.hold()
      let look: AuditResult | Look
      try {
        look = await this.#look(binding, describe, (lastRevision) =>
          cut.at(hold, lastRevision, () => this.#foldCount(), signal),
        )
      } finally {
        hold.release()
      }
      if ('verdict' in look) return look
      const alone = this.#judge(binding, look)
      if (alone !== 'wait') return this.#concluded(alone, look)
      const both = earlier === undefined ? 'wait' : this.#judge(binding, earlier, look)
      if (both !== 'wait') return this.#concluded(both, earlier!)
      earlier = look
    }
    return { verdict: 'wait' }
  }

  /** What the source says, and how many keys the fold has at that revision, which `reach` comes to. */
  async #look(
    binding: Binding,
    describe: () => Promise<SourceDescription>,
    reach: (lastRevision: bigint) => Promise<Reached<bigint> | undefined>,
  ): Promise<AuditResult | Look> {
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
    const { lastRevision, keyCount } = source
    if (applied === undefined || lastRevision === undefined || !store.features.deletedKeys)
      return { verdict: 'off' }
    // A source that counts may be unable to while keys are written.
    if (keyCount === undefined) return { verdict: 'wait' }
    const reached = await reach(lastRevision)
    if (reached === undefined) return { verdict: 'wait' }
    const meanwhile = (source.countedThrough ?? lastRevision) - lastRevision
    const undelivered = reached.undelivered + meanwhile
    return { source, lastRevision, keyCount, foldCount: reached.seen, undelivered }
  }

  #judge(binding: Binding, look: Look, later?: Look): ReturnType<typeof protocol.audit> {
    const { source, lastRevision, keyCount, foldCount, undelivered } = look
    return protocol.audit({
      appliedRevision: lastRevision,
      lastRevision,
      keyCount,
      foldCount,
      undelivered,
      later,
      whenEvicted: binding.whenEvicted,
      evictsCurrentValues: source.evictsCurrentValues,
      evictsOldestFirst: source.evictsOldestFirst,
      firstRevision: source.firstRevision,
      evictionSeen: binding.evictionSeen,
    })
  }

  #concluded(
    verdict: ReturnType<typeof protocol.audit>,
    look: Look,
    rebuiltFor?: RebuildReason,
  ): AuditResult {
    if (verdict === 'equal') {
      this.#doubt = undefined
      this.#listed = undefined
      return { verdict, through: look.lastRevision }
    }
    if (verdict !== 'rebuild') return { verdict }
    if (rebuiltFor === 'countMismatch') this.#listedInVain(look)
    const doubted = this.#doubt !== undefined && performance.now() < this.#doubt.againAtMs
    return doubted ? { verdict: 'off' } : { verdict: 'mend', reason: 'countMismatch' }
  }

  #listedInVain(counts: KeyCounts): void {
    const listings = (this.#listed?.listings ?? 0) + 1
    const again = protocol.listAgain({ listings, counts, before: this.#listed?.counts })
    this.#listed = { listings: again ? listings : 0, counts }
    if (again) this.#doubt = undefined
    else this.#doubtFurther()
  }

  #doubtFurther(): void {
    const { delayMs: before } = this.#doubt ?? {}
    if (before === Infinity) return
    // The next audit is one interval away.
    const first = (this.#settings.auditIntervalMs || FIRST_DOUBT_MS) / 2
    const delayMs = before === undefined ? first : Math.min(2 * before, MOST_DOUBT_MS)
    this.#doubt = { againAtMs: performance.now() + delayMs, delayMs }
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

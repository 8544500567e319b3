import type {
  AttachDecision,
  AttachInput,
  KeyCounts,
  Binding,
  Protocol,
  RebuildReason,
  SourceDescription,
} from '@slip/kv-core'
import type { Row } from '../explorer/layout.ts'
import { HistoryJudge, type HistoryVerdict } from './attach-history.ts'
import type { AttachShape, AttachState } from './attach-state.ts'
import type { Positions } from './positions.ts'

const SCOPE = ['k']

export type AuditVerdict = 'equal' | 'wait' | 'off' | 'mend' | 'reattach'

/** Asks the rules about a bucket and a fold of it. */
export class AttachJudgement {
  readonly #shape: AttachShape
  readonly #rules: Protocol
  readonly #positions: Positions
  readonly #history: HistoryJudge
  /** By `bound`, without and with the memory of eviction: 0 is none. */
  readonly #bindings: readonly (readonly [Binding, Binding] | undefined)[]

  constructor(shape: AttachShape, rules: Protocol, positions: Positions) {
    this.#shape = shape
    this.#rules = rules
    this.#positions = positions
    this.#history = new HistoryJudge(shape, rules)
    const both = (era: number): readonly [Binding, Binding] => [
      this.#bindingOf(era, false),
      this.#bindingOf(era, true),
    ]
    this.#bindings = [undefined, ...Array.from({ length: shape.eras }, (_, era) => both(era))]
  }

  /** `bound` 0 is none. */
  binding(bound: number, seen: number): Binding | undefined {
    return this.#bindings[bound]?.[seen === 1 ? 1 : 0]
  }

  /** What an audit of this state would say. */
  auditOf(s: AttachState): AuditVerdict {
    const { whenEvicted = 'drop' } = this.#shape.options
    const binding = this.binding(s.bind, s.bindSeen)
    const cursor = this.#positions.cursor(s.cursor)
    const source = this.describe(s)
    const decision = this.#asked({ binding, cursor, populated: true }, source, {})
    if (decision.action === 'rebuild' && decision.history === 'other') return 'reattach'
    const verdict = this.#rules.audit({
      appliedRevision: this.#positions.revision(s.cursor),
      lastRevision: source.lastRevision,
      ...this.counts(s),
      whenEvicted,
      evictsCurrentValues: source.evictsCurrentValues,
      evictsOldestFirst: source.evictsOldestFirst,
      firstRevision: source.firstRevision,
      evictionSeen: binding?.evictionSeen === true,
    })
    return verdict === 'rebuild' ? 'mend' : verdict
  }

  counts(s: AttachState): KeyCounts {
    return { keyCount: this.#keysInBucket(s), foldCount: this.#namesInFold(s) }
  }

  /** What the bucket says of the history of the fold in use. */
  historyOf(s: AttachState): HistoryVerdict {
    return this.#history.judge(s, s.fold, s.cursor)
  }

  /** A fold that could go on goes on only when the bucket does not contradict what the fold remembers. */
  decide(
    s: AttachState,
    fold: AttachInput['fold'],
    source: SourceDescription,
    finding: RebuildReason | undefined,
    row: Row,
  ): AttachDecision {
    const decision = this.#asked(fold, source, { finding })
    const { revision } = fold.cursor
    if (decision.action !== 'resume' || revision === undefined) return decision
    const history = this.#history.judge(s, row, Number(revision))
    return this.#asked(fold, source, { history })
  }

  /** What becomes of a fold that has to be repaired. */
  repairOf(
    fold: AttachInput['fold'],
    source: SourceDescription,
    finding: RebuildReason,
  ): AttachDecision['action'] {
    return this.#asked(fold, source, { finding }).action
  }

  /** Whether a fold that could go on is better replaced by what another node published. */
  takesArtifact(s: AttachState, fold: AttachInput['fold'], source: SourceDescription): boolean {
    const { whenEvicted = 'drop' } = this.#shape.options
    const asked = { source, scope: SCOPE, whenEvicted, repair: 'auto', restores: true } as const
    const worth = { ...asked, fold: { ...fold, stages: true }, entries: 0, behind: 1 }
    const least = this.#rules.fastForwardTo(worth)
    if (least === undefined) return false
    const artifact = {
      binding: this.binding(s.artifactBound, s.artifactSeen),
      cursor: this.#positions.cursor(s.artifactCursor),
      populated: true,
      settled: true,
    }
    const history = this.#history.judge(s, s.artifact, s.artifactCursor)
    return this.#rules.mayFastForward({ ...asked, fold: artifact, history, least })
  }

  #asked(
    fold: AttachInput['fold'],
    source: SourceDescription,
    found: Pick<AttachInput, 'finding' | 'history'>,
  ): AttachDecision {
    const { whenEvicted = 'drop' } = this.#shape.options
    return this.#rules.attach({ fold, source, scope: SCOPE, whenEvicted, repair: 'auto', ...found })
  }

  /** What the bucket says of itself. */
  describe(s: AttachState): SourceDescription {
    const evicts = this.#shape.evicts(s)
    return {
      kind: 'model',
      name: 'bucket',
      incarnation: String(s.incarnation),
      firstRevision: this.#positions.revision(this.#shape.first(s)),
      lastRevision: this.#positions.revision(s.last),
      evictsOldestFirst: true,
      ...(evicts === undefined ? {} : { evictsCurrentValues: evicts }),
    }
  }

  /** Whether a replica of record has to remember that its bucket evicts. */
  sawEviction(source: SourceDescription, before: boolean): boolean {
    const { whenEvicted = 'drop' } = this.#shape.options
    const { evictsCurrentValues, evictsOldestFirst, firstRevision } = source
    return this.#rules.sawEviction({
      whenEvicted,
      before,
      evictsCurrentValues,
      evictsOldestFirst,
      firstRevision,
    })
  }

  /** Whether the bucket may have evicted something above what the session has applied. */
  overrun(s: AttachState, applied: number): boolean {
    const { firstRevision, evictsCurrentValues } = this.describe(s)
    return this.#rules.overrun({
      revision: this.#positions.revision(applied),
      appliedAtMs: undefined,
      firstRevision,
      evictsCurrentValues,
      evictsAfterMs: undefined,
      serverTimeMs: undefined,
      evictionSeen: s.bindSeen === 1,
    })
  }

  /** Whether a listing of the bucket would say something of the fold. */
  listingIsTruth(s: AttachState): boolean {
    const { whenEvicted = 'drop' } = this.#shape.options
    const { evictsCurrentValues, evictsOldestFirst, firstRevision } = this.describe(s)
    return this.#rules.listingIsTruth({
      whenEvicted,
      evictsCurrentValues,
      evictsOldestFirst,
      firstRevision,
      evictionSeen: s.bindSeen === 1,
    })
  }

  /** A listing of keys and revisions, made at once. */
  listing(s: AttachState): ReturnType<Protocol['auditListing']> {
    const { messages, scoped } = this.#shape
    const start = this.#positions.revision(s.cursor)
    const told = { match: 0, pass: 0, wrong: 0 }
    let entries = 0
    for (let k = 0; k < scoped; k++) {
      const kept = messages.isLive(s.fold.at(k))
        ? this.#positions.revision(messages.revision(s.fold.at(k)))
        : undefined
      if (kept !== undefined) entries++
      if (!messages.isLive(s.bucket.at(k))) continue
      const listed = this.#positions.revision(messages.revision(s.bucket.at(k)))
      told[
        this.#rules.judgeListed({
          listed,
          start,
          held: kept,
          removedSince: false,
          skipped: false,
          removedAt: undefined,
        })
      ]++
    }
    return this.#rules.auditListing({
      start,
      listedAt: this.#positions.revision(s.last),
      entries,
      matched: told.match,
      wrong: told.wrong,
      touched: 0,
      touchedAfterMatch: 0,
      ordered: true,
    })
  }

  #keysInBucket(s: AttachState): bigint {
    let count = 0
    for (let k = 0; k < this.#shape.scoped; k++) if (s.bucket.at(k) !== 0) count++
    return this.#positions.revision(count)
  }

  #namesInFold(s: AttachState): bigint {
    let count = 0
    for (let k = 0; k < this.#shape.scoped; k++) if (s.fold.at(k) !== 0) count++
    return this.#positions.revision(count)
  }

  #bindingOf(incarnation: number, evictionSeen: boolean): Binding {
    const { whenEvicted = 'drop' } = this.#shape.options
    return {
      kind: 'model',
      name: 'bucket',
      incarnation: String(incarnation),
      scope: SCOPE,
      whenEvicted,
      evictionSeen,
    }
  }
}

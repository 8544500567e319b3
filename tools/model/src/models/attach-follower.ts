import type {
  AttachDecision,
  AttachInput,
  Binding,
  Protocol,
  RebuildReason,
  SourceDescription,
} from '@slip/kv-core'
import type { Row } from '../explorer/layout.ts'
import type { Action } from '../explorer/model.ts'
import { HistoryJudge } from './attach-history.ts'
import { dropStaged, endSession } from './attach-session.ts'
import {
  ATTACHED,
  BROKEN_LINEAGE,
  COUNT_MISMATCH,
  DOWN,
  FAILED,
  IDLE,
  NO_FINDING,
  RECREATED,
  REVISION_MISMATCH,
  WATCHING,
  type AttachFields,
  type AttachShape,
  type AttachState,
} from './attach-state.ts'
import { Positions } from './positions.ts'

const REASONS: readonly (RebuildReason | undefined)[] = [
  undefined,
  'countMismatch',
  'brokenLineage',
  'bucketRecreated',
  'revisionMismatch',
]
const SCOPE = ['k']

export type AuditVerdict = 'equal' | 'wait' | 'off' | 'mend' | 'reattach'

/** What the follower does, each decision made by the rules it is given. */
export class AttachFollower {
  readonly #shape: AttachShape
  readonly #rules: Protocol
  readonly #positions: Positions
  readonly #history: HistoryJudge
  /** By `bound`: 0 is none. */
  readonly #bindings: readonly (Binding | undefined)[]

  constructor(shape: AttachShape, rules: Protocol) {
    this.#shape = shape
    this.#rules = rules
    this.#positions = new Positions(shape.options.revisions)
    this.#history = new HistoryJudge(shape, rules)
    this.#bindings = [undefined, ...Array.from({ length: shape.eras }, (_, era) => this.#bindingOf(era))]
  }

  actions(): Action<AttachFields>[] {
    const { restarts = true } = this.#shape.options
    const system = [
      { name: 'start the follower', step: start },
      { name: 'attach', step: (s: AttachState) => this.#attach(s) },
      { name: 'open the watch', step: (s: AttachState) => this.#openAfterGap(s) },
      { name: 'deliver', step: (s: AttachState) => this.#deliver(s) },
      { name: 'bookmark', step: (s: AttachState) => this.#bookmark(s) },
      { name: 'caught up', step: (s: AttachState) => this.#caughtUp(s) },
      { name: 'audit', step: (s: AttachState) => this.#audit(s) },
      { name: 'list', step: (s: AttachState) => this.#list(s) },
      { name: 'notice a dead watch', step: noticeDead },
    ]
    const mishaps = [
      { name: 'disconnect', environment: true, step: disconnect },
      { name: 'crash', environment: true, step: (s: AttachState) => this.#crash(s) },
    ]
    return restarts ? [...system, ...mishaps] : system
  }

  /** What an audit of this state would say. */
  auditOf(s: AttachState): AuditVerdict {
    const { whenEvicted = 'drop' } = this.#shape.options
    const binding = this.#bindings[s.bind]
    const cursor = this.#positions.cursor(s.cursor)
    const source = this.#describe(s)
    const decision = this.#decide({ binding, cursor, populated: true }, source, {})
    if (decision.action === 'rebuild' && decision.history === 'other') return 'reattach'
    const verdict = this.#rules.audit({
      appliedRevision: this.#positions.revision(s.cursor),
      lastRevision: source.lastRevision,
      keyCount: this.#keysInBucket(s),
      foldCount: this.#namesInFold(s),
      whenEvicted,
      evictsCurrentValues: source.evictsCurrentValues,
      firstRevision: source.firstRevision,
      evictionSeen: binding?.evictionSeen === true,
    })
    return verdict === 'rebuild' ? 'mend' : verdict
  }

  #attach(s: AttachState): boolean {
    if (s.mode !== IDLE) return false
    const { scoped, options } = this.#shape
    const source = this.#describe(s)
    const finding = REASONS[s.finding]
    s.finding = NO_FINDING
    s.mode = ATTACHED
    if (s.rebuilding === 1) this.#goOn(s, source, finding)
    else {
      const standing = {
        binding: this.#bindings[s.bound],
        cursor: this.#positions.cursor(s.cursor),
        populated: this.#isPopulated(s),
      }
      const decision = this.#decideWithHistory(s, standing, source, finding, s.fold)
      s.bind = s.incarnation + 1
      if (decision.action === 'rebuild') startRebuild(s, scoped, decision.reason)
      else if (decision.action === 'reconcile') s.unsure = 1
      else if (decision.action === 'refuse' || decision.action === 'foreign') {
        endSession(s, {})
        s.mode = FAILED
      }
    }
    if (options.gap !== true && s.mode === ATTACHED) this.#open(s)
    return true
  }

  /** A rebuild that was under way when a session ended. */
  #goOn(s: AttachState, source: SourceDescription, finding: RebuildReason | undefined): void {
    const staged = {
      binding: this.#bindings[s.bind],
      cursor: this.#positions.cursor(s.stagedCursor),
      populated: s.stagedCursor > 0,
    }
    const decision = this.#decideWithHistory(s, staged, source, finding, s.staged)
    if (decision.action === 'reconcile') s.unsure = 1
    if (
      decision.action === 'resume' ||
      decision.action === 'reconcile' ||
      (decision.action === 'fresh' && finding === undefined)
    )
      return
    const forCount = s.forCount === 1
    s.bind = s.incarnation + 1
    const reason =
      decision.action === 'rebuild' ? decision.reason : forCount ? 'countMismatch' : 'brokenLineage'
    startRebuild(s, this.#shape.scoped, reason)
  }

  #openAfterGap(s: AttachState): boolean {
    if (s.mode !== ATTACHED) return false
    const { opensChecked = true } = this.#shape.options
    if (opensChecked && s.bind !== s.incarnation + 1) endSession(s, { finding: RECREATED })
    else this.#open(s)
    return true
  }

  #open(s: AttachState): void {
    const { clamps = false } = this.#shape.options
    const start = this.#rules.resumeStart(this.#positions.cursor(this.#position(s)))
    const after = start.action === 'start' ? Number(start.fromRevision) - 1 : 0
    s.sent = clamps ? Math.min(after, s.last) : after
    s.target = s.last
    s.mode = WATCHING
  }

  #deliver(s: AttachState): boolean {
    if (s.mode !== WATCHING || s.dead === 1) return false
    const { scoped, messages } = this.#shape
    const revision = this.#shape.nextAfter(s, s.sent)
    if (revision === 0) return false
    const verdict = this.#rules.onDelivery({
      frontier: this.#positions.frontier(this.#position(s)),
      revision: this.#positions.revision(revision),
      suspect: s.suspect === 1,
    })
    if (verdict === 'reattach') endSession(s, { suspect: true })
    else if (verdict === 'rebuild') endSession(s, { finding: BROKEN_LINEAGE })
    else {
      const fold = s.rebuilding === 1 ? s.staged : s.fold
      for (let k = 0; k < scoped; k++)
        if (messages.revision(s.bucket.at(k)) === revision) fold.set(k, s.bucket.at(k))
      s.sent = revision
      commit(this.#shape, s, revision)
    }
    return true
  }

  /** Everything in scope was sent, and the stream is longer. */
  #bookmark(s: AttachState): boolean {
    if (s.mode !== WATCHING || s.dead === 1 || s.sent >= s.last) return false
    if (this.#shape.nextAfter(s, s.sent) !== 0) return false
    const position = this.#position(s)
    s.sent = s.last
    const verdict = this.#rules.onBookmark({
      frontier: this.#positions.frontier(position),
      revision: this.#positions.revision(s.last),
      same: s.last === position,
    })
    if (verdict === 'advance') commit(this.#shape, s, s.last)
    return true
  }

  #caughtUp(s: AttachState): boolean {
    if (s.mode !== WATCHING || s.caught === 1 || s.dead === 1) return false
    const next = this.#shape.nextAfter(s, s.sent)
    if (next !== 0 && next <= s.target) return false
    const rebuiltForCount = s.rebuilding === 1 && s.forCount === 1
    if (s.rebuilding === 1) swap(this.#shape, s)
    s.bound = s.bind
    this.#judge(s, rebuiltForCount)
    if (s.mode !== WATCHING) return true
    s.caught = 1
    s.target = 0
    return true
  }

  #audit(s: AttachState): boolean {
    if (s.mode !== WATCHING || s.caught === 0 || s.unsure === 1) return false
    this.#judge(s, false)
    if (s.mode !== WATCHING || s.cursor === 0) return true
    const history = this.#history.judge(s, s.fold, s.cursor)
    if (history === 'other' || history === 'differs') endSession(s, {})
    return true
  }

  /** What a fold that remembers nothing of its history needs before it claims anything. */
  #list(s: AttachState): boolean {
    if (s.mode !== WATCHING || s.caught === 0 || s.unsure === 0) return false
    const verdict = this.#listing(s)
    if (verdict === 'rebuild') endSession(s, { finding: REVISION_MISMATCH })
    else if (verdict === 'equal') s.unsure = 0
    return true
  }

  #judge(s: AttachState, rebuiltForCount: boolean): void {
    const verdict = this.auditOf(s)
    if (verdict === 'equal') {
      s.distrusted = 0
      if (s.dead === 0 && !this.#shape.converged(s)) s.lied = 1
    } else if (verdict === 'reattach') endSession(s, {})
    else if (verdict === 'mend') {
      if (rebuiltForCount) s.distrusted = 1
      if (s.distrusted === 0) endSession(s, { finding: COUNT_MISMATCH })
    }
  }

  #crash(s: AttachState): boolean {
    if (s.mode === DOWN || s.mode === FAILED) return false
    dropStaged(s, this.#shape.scoped)
    endSession(s, {})
    s.distrusted = 0
    s.mode = DOWN
    return true
  }

  #position(s: AttachState): number {
    return s.rebuilding === 1 ? s.stagedCursor : s.cursor
  }

  /** A fold that could go on goes on only when the bucket does not contradict what the fold remembers. */
  #decideWithHistory(
    s: AttachState,
    fold: AttachInput['fold'],
    source: SourceDescription,
    finding: RebuildReason | undefined,
    row: Row,
  ): AttachDecision {
    const decision = this.#decide(fold, source, { finding })
    const { revision } = fold.cursor
    if (decision.action !== 'resume' || revision === undefined) return decision
    const history = this.#history.judge(s, row, Number(revision))
    return this.#decide(fold, source, { history })
  }

  #decide(
    fold: AttachInput['fold'],
    source: SourceDescription,
    found: Pick<AttachInput, 'finding' | 'history'>,
  ): AttachDecision {
    const { whenEvicted = 'drop' } = this.#shape.options
    return this.#rules.attach({ fold, source, scope: SCOPE, whenEvicted, repair: 'auto', ...found })
  }

  #describe(s: AttachState): SourceDescription {
    const { evicts = false } = this.#shape.options
    return {
      kind: 'model',
      name: 'bucket',
      incarnation: String(s.incarnation),
      firstRevision: this.#positions.revision(this.#shape.first(s)),
      lastRevision: this.#positions.revision(s.last),
      ...(evicts === 'unknown' ? {} : { evictsCurrentValues: evicts }),
    }
  }

  /** A listing of keys and revisions, made at once. */
  #listing(s: AttachState): ReturnType<Protocol['auditListing']> {
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
      told[this.#rules.judgeListed({ listed, start, held: kept, removedSince: false, skipped: false })]++
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

  #isPopulated(s: AttachState): boolean {
    for (let k = 0; k < this.#shape.scoped; k++) if (this.#shape.messages.isLive(s.fold.at(k))) return true
    return false
  }

  #bindingOf(incarnation: number): Binding {
    const { whenEvicted = 'drop' } = this.#shape.options
    return {
      kind: 'model',
      name: 'bucket',
      incarnation: String(incarnation),
      scope: SCOPE,
      whenEvicted,
      evictionSeen: false,
    }
  }
}

function start(s: AttachState): boolean {
  if (s.mode !== DOWN) return false
  s.mode = IDLE
  return true
}

function noticeDead(s: AttachState): boolean {
  if (s.dead === 0) return false
  endSession(s, {})
  return true
}

function disconnect(s: AttachState): boolean {
  if (s.mode !== WATCHING && s.mode !== ATTACHED) return false
  endSession(s, {})
  return true
}

function startRebuild(s: AttachState, scoped: number, reason: RebuildReason): void {
  dropStaged(s, scoped)
  s.rebuilding = 1
  s.forCount = reason === 'countMismatch' ? 1 : 0
}

/** The new fold becomes the one in use. */
function swap(shape: AttachShape, s: AttachState): void {
  for (let k = 0; k < shape.scoped; k++) s.fold.set(k, s.staged.at(k))
  s.cursor = s.stagedCursor
  settle(shape, s)
  dropStaged(s, shape.scoped)
}

function commit(shape: AttachShape, s: AttachState, revision: number): void {
  if (s.rebuilding === 1) s.stagedCursor = revision
  else {
    s.cursor = revision
    s.bound = s.bind
    settle(shape, s)
  }
}

function settle(shape: AttachShape, s: AttachState): void {
  if (shape.tracksSettled) s.settled = s.cursor === s.last ? 1 : 0
}

import type { AttachInput, Protocol, RebuildReason, SourceDescription } from '@slip/kv-core'
import type { Action } from '../explorer/model.ts'
import { takeArtifact } from './attach-artifact.ts'
import { AttachJudgement } from './attach-judgement.ts'
import { forgetListings, listedInVain } from './attach-listings.ts'
import {
  commit,
  disconnect,
  dropStaged,
  endSession,
  noticeDead,
  start,
  startAgain,
  startRebuild,
  swap,
} from './attach-session.ts'
import {
  ATTACHED,
  BROKEN_LINEAGE,
  COUNT_MISMATCH,
  CURSOR_EXPIRED,
  DOWN,
  FAILED,
  IDLE,
  NO_FINDING,
  REASONS,
  RECREATED,
  REVISION_MISMATCH,
  WATCHING,
  type AttachFields,
  type AttachShape,
  type AttachState,
} from './attach-state.ts'
import { Positions } from './positions.ts'

/** What the follower does, each decision made by the rules it is given. */
export class AttachFollower {
  readonly #shape: AttachShape
  readonly #rules: Protocol
  readonly #positions: Positions
  readonly judgement: AttachJudgement

  constructor(shape: AttachShape, rules: Protocol) {
    this.#shape = shape
    this.#rules = rules
    this.#positions = new Positions(shape.options.revisions)
    this.judgement = new AttachJudgement(shape, rules, this.#positions)
  }

  actions(): Action<AttachFields>[] {
    const { keepsRecord } = this.#shape
    const { restarts = true } = this.#shape.options
    const system = [
      { name: 'start the follower', step: start },
      { name: 'attach', step: (s: AttachState) => this.#attach(s) },
      ...(this.#shape.options.artifacts === true
        ? [
            {
              name: 'take the artifact',
              step: (s: AttachState) => takeArtifact(this.#shape, this.judgement, s, this.#standing(s)),
            },
          ]
        : []),
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
      ...(keepsRecord ? [{ name: 'start again', environment: true, step: startAgain }] : []),
    ]
    return restarts ? [...system, ...mishaps] : system
  }

  #attach(s: AttachState): boolean {
    if (s.mode !== IDLE) return false
    const source = this.judgement.describe(s)
    const finding = REASONS[s.finding]
    s.finding = NO_FINDING
    s.mode = ATTACHED
    if (s.rebuilding === 1) this.#goOn(s, source, finding)
    else this.#attachFold(s, source, finding)
    if (this.#shape.options.gap !== true && s.mode === ATTACHED) this.#open(s)
    return true
  }

  #attachFold(s: AttachState, source: SourceDescription, finding: RebuildReason | undefined): void {
    const decision = this.judgement.decide(s, this.#standing(s), source, finding, s.fold)
    const seen = s.seen === 1 || ('evictionSeen' in decision && decision.evictionSeen)
    const other = decision.action === 'rebuild' && decision.history === 'other'
    const sees = this.judgement.sawEviction(source, seen && !other) ? 1 : 0
    s.bind = s.incarnation + 1
    s.bindSeen = this.#shape.keepsRecord ? sees : 0
    if (decision.action === 'rebuild') startRebuild(s, this.#shape.scoped, decision.reason)
    else if (decision.action === 'reconcile') this.#doubt(s)
    else if (decision.action === 'fresh') s.initial = this.#shape.keepsRecord ? 1 : 0
    else if (decision.action === 'refuse' || decision.action === 'foreign') {
      s.seen = s.bindSeen
      endSession(s, {})
      s.mode = FAILED
    }
  }

  #standing(s: AttachState): AttachInput['fold'] {
    return {
      binding: this.judgement.binding(s.bound, s.seen),
      cursor: this.#positions.cursor(s.cursor),
      populated: this.#isPopulated(s),
      settled: s.unsettled === 0,
    }
  }

  #staged(s: AttachState): AttachInput['fold'] {
    return {
      binding: this.judgement.binding(s.bind, s.bindSeen),
      cursor: this.#positions.cursor(s.stagedCursor),
      populated: s.stagedCursor > 0,
      settled: s.stagedUnsettled === 0,
    }
  }

  /** A listing has to come first, where it says something. */
  #doubt(s: AttachState): void {
    if (this.judgement.listingIsTruth(s)) s.unsure = 1
  }

  /** A rebuild that was under way when a session ended. */
  #goOn(s: AttachState, source: SourceDescription, finding: RebuildReason | undefined): void {
    const decision = this.judgement.decide(s, this.#staged(s), source, finding, s.staged)
    if (decision.action === 'reconcile') this.#doubt(s)
    if (
      decision.action === 'resume' ||
      decision.action === 'reconcile' ||
      (decision.action === 'fresh' && finding === undefined)
    )
      return
    const reason = decision.action === 'rebuild' ? decision.reason : this.#rebuildReason(s)
    dropStaged(s, this.#shape.scoped)
    this.#attachFold(s, source, reason)
  }

  /** Why the fold is made anew, as far as it matters. */
  #rebuildReason(s: AttachState): RebuildReason {
    return s.forCount === 1 ? 'countMismatch' : 'revisionMismatch'
  }

  #openAfterGap(s: AttachState): boolean {
    if (s.mode !== ATTACHED) return false
    const { opensChecked = true } = this.#shape.options
    if (opensChecked && s.bind !== s.incarnation + 1) endSession(s, { finding: RECREATED })
    else if (this.#isStillProven(s)) this.#open(s)
    else endSession(s, {})
    return true
  }

  /** Asked when the watch has begun, of a fold that was proven before. */
  #isStillProven(s: AttachState): boolean {
    if (this.#shape.options.provesAgain === false || this.#position(s) === 0) return true
    const [fold, row] = s.rebuilding === 1 ? [this.#staged(s), s.staged] : [this.#standing(s), s.fold]
    const { action } = this.judgement.decide(s, fold, this.judgement.describe(s), undefined, row)
    return action === 'resume' || (action === 'reconcile' && s.unsure === 1)
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
    else if (this.#misses(s, revision)) endSession(s, { finding: CURSOR_EXPIRED })
    else {
      const fold = s.rebuilding === 1 ? s.staged : s.fold
      for (let k = 0; k < scoped; k++)
        if (messages.revision(s.bucket.at(k)) === revision) fold.set(k, s.bucket.at(k))
      s.sent = revision
      commit(this.#shape, s, revision, this.#settles(s, revision))
    }
    return true
  }

  /** Everything in scope was sent, and the stream is longer. */
  #bookmark(s: AttachState): boolean {
    if (s.mode !== WATCHING || s.dead === 1 || s.sent >= s.last) return false
    if (this.#shape.nextAfter(s, s.sent) !== 0) return false
    const position = this.#position(s)
    if (this.#misses(s, s.last + 1)) {
      endSession(s, { finding: CURSOR_EXPIRED })
      return true
    }
    s.sent = s.last
    const verdict = this.#rules.onBookmark({
      frontier: this.#positions.frontier(position),
      revision: this.#positions.revision(s.last),
      same: s.last === position,
    })
    if (verdict === 'advance') commit(this.#shape, s, s.last, this.#settles(s, undefined))
    return true
  }

  /** Whether a replica of record may not go on to what comes next: something between may have been evicted. */
  #misses(s: AttachState, next: number): boolean {
    const { keepsRecord, options } = this.#shape
    if (!keepsRecord || options.guarded === false || s.rebuilding === 1 || s.cursor === 0) return false
    // What was evicted before it was hydrated the fold never had.
    const applied = s.initial === 1 ? Math.max(s.cursor, s.target) : s.cursor
    return next > applied + 1 && this.judgement.overrun(s, applied)
  }

  /** Whether a rebuild that is complete may replace the fold. */
  #mayReplace(s: AttachState): boolean {
    const { keepsRecord, options } = this.#shape
    if (!keepsRecord || options.asksAgain === false) return true
    const source = this.judgement.describe(s)
    return this.judgement.repairOf(this.#standing(s), source, this.#rebuildReason(s)) !== 'refuse'
  }

  #caughtUp(s: AttachState): boolean {
    if (s.mode !== WATCHING || s.caught === 1 || s.dead === 1) return false
    const next = this.#shape.nextAfter(s, s.sent)
    if (next !== 0 && next <= s.target) return false
    const rebuiltForCount = s.rebuilding === 1 && s.forCount === 1
    if (s.rebuilding === 1) {
      if (!this.#mayReplace(s)) {
        const finding = rebuiltForCount ? COUNT_MISMATCH : REVISION_MISMATCH
        dropStaged(s, this.#shape.scoped)
        endSession(s, { finding })
        return true
      }
      swap(this.#shape, s)
    }
    s.bound = s.bind
    s.seen = s.bindSeen
    s.initial = 0
    if (this.#shape.keepsRecord && s.cursor > 0) s.owed = 1
    s.caught = 1
    s.target = 0
    this.#judge(s, rebuiltForCount)
    return true
  }

  #audit(s: AttachState): boolean {
    if (s.mode !== WATCHING || s.caught === 0 || s.unsure === 1) return false
    this.#judge(s, false)
    if (s.mode === WATCHING && s.cursor > 0) s.seen = s.bindSeen
    return true
  }

  /** What a fold that remembers nothing of its history needs before it claims anything. */
  #list(s: AttachState): boolean {
    if (s.mode !== WATCHING || s.caught === 0 || s.unsure === 0) return false
    const verdict = this.judgement.listing(s)
    if (verdict === 'rebuild') endSession(s, { finding: REVISION_MISMATCH })
    else if (verdict === 'equal') {
      s.unsure = 0
      if (this.#shape.nextAfter(s, s.sent) === 0) s.unsettled = 0
    }
    return true
  }

  /** What is found is claimed when the history was asked for afterwards, or else the watch yields something. */
  #judge(s: AttachState, rebuiltForCount: boolean): void {
    if (this.#shape.keepsRecord)
      s.bindSeen = this.judgement.sawEviction(this.judgement.describe(s), s.bindSeen === 1) ? 1 : 0
    const { claims = 'proven' } = this.#shape.options
    const verdict = this.judgement.auditOf(s)
    if (verdict === 'equal') {
      s.distrusted = 0
      forgetListings(s)
      if (claims === 'atOnce') this.#claim(s)
    } else if (verdict === 'reattach') endSession(s, {})
    else if (verdict === 'mend') {
      if (rebuiltForCount) listedInVain(this.#rules, s, this.judgement.counts(s))
      if (s.distrusted === 0) endSession(s, { finding: COUNT_MISMATCH })
    }
    if (s.mode !== WATCHING) return
    const history = s.cursor === 0 ? 'unknown' : this.judgement.historyOf(s)
    if (history === 'other' || history === 'differs') endSession(s, {})
    else if (verdict === 'equal' && ((history === 'same' && s.unsettled === 0) || s.dead === 0))
      this.#claim(s)
  }

  #claim(s: AttachState): void {
    if (s.unsure === 0 && !this.#shape.converged(s)) s.lied = 1
  }

  #crash(s: AttachState): boolean {
    if (s.mode === DOWN || s.mode === FAILED) return false
    dropStaged(s, this.#shape.scoped)
    endSession(s, {})
    s.distrusted = 0
    forgetListings(s)
    s.mode = DOWN
    return true
  }

  /** Of an update; or of a bookmark, which comes when everything was sent. */
  #settles(s: AttachState, revision: number | undefined): boolean {
    const unsettled = s.rebuilding === 1 ? s.stagedUnsettled : s.unsettled
    return this.#rules.settles({
      settled: unsettled === 0,
      frontier: this.#positions.frontier(this.#position(s)),
      delivered: revision === undefined ? undefined : this.#positions.revision(revision),
      atEnd: revision === undefined || this.#shape.nextAfter(s, revision) === 0,
    })
  }

  #position(s: AttachState): number {
    return s.rebuilding === 1 ? s.stagedCursor : s.cursor
  }

  #isPopulated(s: AttachState): boolean {
    for (let k = 0; k < this.#shape.scoped; k++) if (this.#shape.messages.isLive(s.fold.at(k))) return true
    return false
  }
}

import type { Binding, Protocol } from '@slip/kv-core'
import type { Row } from '../explorer/layout.ts'
import { Positions } from './positions.ts'
import { DOWN, IDLE, LISTING, LIVE, REMOVING, type ResyncShape, type ResyncState } from './resync-state.ts'

const SCOPE = ['k']
const BINDING: Binding = {
  kind: 'model',
  name: 'bucket',
  incarnation: '0',
  scope: SCOPE,
  whenEvicted: 'drop',
  evictionSeen: false,
}

/** Follows a bucket, and makes its fold anew when the counts differ. */
export class ResyncFollower {
  readonly #shape: ResyncShape
  readonly #rules: Protocol
  readonly #positions: Positions
  readonly #inPlace: boolean

  constructor(shape: ResyncShape, rules: Protocol) {
    this.#shape = shape
    this.#rules = rules
    this.#positions = new Positions(shape.options.revisions)
    this.#inPlace = shape.options.place === 'inPlace'
  }

  start(s: ResyncState): boolean {
    if (s.mode !== DOWN) return false
    s.mode = IDLE
    return true
  }

  attach(s: ResyncState): boolean {
    if (s.mode !== IDLE) return false
    if (s.rebuilding === 1) return this.#watch(s, s.stagedCursor)
    const decision = this.#rules.attach({
      fold: {
        binding: BINDING,
        cursor: this.#positions.cursor(s.cursor),
        populated: this.#rowHasLive(s),
      },
      source: {
        kind: 'model',
        name: 'bucket',
        incarnation: '0',
        lastRevision: this.#positions.revision(s.last),
        evictsCurrentValues: false,
      },
      scope: SCOPE,
      whenEvicted: 'drop',
      repair: 'auto',
    })
    if (decision.action === 'rebuild') return this.#beginRebuild(s)
    return this.#watch(s, s.cursor)
  }

  deliver(s: ResyncState): boolean {
    if (s.mode !== LIVE && s.mode !== LISTING) return false
    const key = this.#shape.nextAfter(s)
    if (key < 0) return false
    const code = s.bucket.at(key)
    const revision = this.#shape.messages.revision(code)
    s.sent = revision
    this.#hand(s, key, code, revision)
    if (s.mode === LISTING && !this.#inPlace) {
      s.staged.set(key, code)
      s.stagedCursor = revision
    } else {
      s.fold.set(key, code)
      s.cursor = revision
      s.owed.set(key, 0)
    }
    return true
  }

  bookmark(s: ResyncState): boolean {
    if (s.mode !== LIVE || s.cursor >= s.last || this.#shape.nextAfter(s) >= 0) return false
    s.sent = s.last
    s.cursor = s.last
    return true
  }

  /** Everything that existed was listed: settles what vanished, unless that was settled before. */
  listed(s: ResyncState): boolean {
    if (s.mode !== LISTING) return false
    const key = this.#shape.nextAfter(s)
    if (key >= 0 && this.#shape.messages.revision(s.bucket.at(key)) <= s.target) return false
    if (this.#inPlace) return this.#finish(s)
    if (this.#shape.options.removals === 'swapped') {
      this.#settleVanished(s, s.staged)
      this.#swap(s)
    }
    s.mode = REMOVING
    s.removing = 0
    return true
  }

  /** Looks at one key of the old fold; after the last one the new fold takes its place. */
  remove(s: ResyncState): boolean {
    if (s.mode !== REMOVING) return false
    const { keys, removals = 'after' } = this.#shape.options
    if (s.removing === keys) return (removals === 'swapped' || this.#swap(s)) && this.#finish(s)
    const key = s.removing++
    const gone =
      removals === 'after'
        ? this.#shape.isLive(s.fold.at(key)) && !this.#shape.isLive(s.staged.at(key))
        : s.vanished.at(key) === 1
    if (gone) s.view.set(key, 0)
    return true
  }

  audit(s: ResyncState): boolean {
    if (s.mode !== LIVE) return false
    const verdict = this.#rules.audit({
      appliedRevision: this.#positions.revision(s.cursor),
      lastRevision: this.#positions.revision(s.last),
      keyCount: this.#count(s.bucket),
      foldCount: this.#count(s.fold),
      whenEvicted: 'drop',
      evictsCurrentValues: false,
      evictionSeen: false,
    })
    return verdict === 'rebuild' && this.#beginRebuild(s)
  }

  /** A session ends; the staged fold is gone on with. */
  disconnect(s: ResyncState): boolean {
    if (s.mode !== LIVE && s.mode !== LISTING) return false
    s.mode = IDLE
    s.sent = 0
    s.target = 0
    return true
  }

  /** The staged fold is lost while the process goes on, perhaps with a message that `apply` has already; it is made again. */
  discard(s: ResyncState, inFlight: boolean): boolean {
    if (!this.#mayLose(s)) return false
    let flying = -1
    if (inFlight) {
      flying = s.mode === LISTING ? this.#shape.nextAfter(s) : -1
      if (flying < 0) return false
      const code = s.bucket.at(flying)
      this.#hand(s, flying, code, this.#shape.messages.revision(code))
    }
    s.discards++
    this.#takeBack(s, flying)
    return this.#beginRebuild(s)
  }

  /** The swap comes to no answer, and did or did not go through. What it was for is done again either way. */
  failToSwap(s: ResyncState, wentThrough: boolean): boolean {
    const { keys, removals = 'after' } = this.#shape.options
    if (!this.#mayLose(s) || s.mode !== REMOVING || s.removing < keys || removals !== 'after') return false
    s.discards++
    if (wentThrough) this.#swap(s)
    else this.#takeBack(s, -1)
    return this.#beginRebuild(s)
  }

  crash(s: ResyncState): boolean {
    if (s.mode === DOWN) return false
    this.#owe(s)
    this.#dropStaged(s)
    s.mode = DOWN
    s.sent = 0
    s.target = 0
    s.handed = 0
    return true
  }

  #beginRebuild(s: ResyncState): boolean {
    const { keys, removals = 'after' } = this.#shape.options
    this.#dropStaged(s)
    s.handed = 0
    s.rebuilding = 1
    if (removals === 'before') this.#settleVanished(s, s.bucket)
    if (this.#inPlace) {
      for (let k = 0; k < keys; k++) {
        if (this.#shape.isLive(s.fold.at(k))) s.view.set(k, 0)
        s.fold.set(k, 0)
      }
      s.cursor = 0
    }
    return this.#watch(s, 0)
  }

  #mayLose({ rebuilding, discards }: ResyncState): boolean {
    return rebuilding === 1 && !this.#inPlace && discards < (this.#shape.options.discards ?? 0)
  }

  /** Takes back what the staged fold has, and what is in flight. */
  #takeBack(s: ResyncState, flying: number): void {
    for (let k = 0; k < this.#shape.options.keys; k++) {
      const given = this.#shape.isLive(s.staged.at(k)) || (k === flying && this.#shape.isLive(s.bucket.at(k)))
      const held = this.#shape.isLive(s.fold.at(k))
      if (given && this.#rules.takesBack({ held, relists: true })) s.view.set(k, 0)
    }
  }

  #settleVanished(s: ResyncState, left: Row): void {
    for (let k = 0; k < this.#shape.options.keys; k++)
      s.vanished.set(k, this.#shape.isLive(s.fold.at(k)) && !this.#shape.isLive(left.at(k)) ? 1 : 0)
  }

  #watch(s: ResyncState, after: number): boolean {
    const start = this.#rules.resumeStart(this.#positions.cursor(after))
    s.sent = start.action === 'start' ? Number(start.fromRevision) - 1 : 0
    s.target = s.last
    s.mode = s.rebuilding === 1 ? LISTING : LIVE
    return true
  }

  #swap(s: ResyncState): boolean {
    const { keys } = this.#shape.options
    for (let k = 0; k < keys; k++) {
      if (s.staged.at(k) === s.view.at(k)) s.owed.set(k, 0)
      s.fold.set(k, s.staged.at(k))
    }
    s.cursor = s.stagedCursor
    s.swapped = 1
    return true
  }

  #finish(s: ResyncState): boolean {
    this.#dropStaged(s)
    s.removing = 0
    s.target = 0
    s.mode = LIVE
    return true
  }

  #dropStaged(s: ResyncState): void {
    for (let k = 0; k < this.#shape.options.keys; k++) {
      s.staged.set(k, 0)
      if (this.#shape.settlesVanished) s.vanished.set(k, 0)
    }
    s.stagedCursor = 0
    s.rebuilding = 0
    s.removing = 0
  }

  #hand(s: ResyncState, key: number, code: number, revision: number): void {
    const handedThrough = this.#positions.frontier(s.handed)
    if (this.#rules.handOver({ handedThrough, revision: this.#positions.revision(revision) }) === 'skip')
      return
    s.view.set(key, this.#shape.isLive(code) ? code : 0)
    s.handed = Math.max(s.handed, revision)
  }

  /** What `apply` was given above the cursor of the fold in use is held by no fold that is left. */
  #owe(s: ResyncState): void {
    for (let k = 0; k < this.#shape.options.keys; k++)
      if (this.#shape.messages.revision(s.view.at(k)) > s.cursor) s.owed.set(k, 1)
  }

  #rowHasLive(s: ResyncState): boolean {
    for (let k = 0; k < this.#shape.options.keys; k++) if (this.#shape.isLive(s.fold.at(k))) return true
    return false
  }

  #count(row: Row): bigint {
    let count = 0
    for (let k = 0; k < this.#shape.options.keys; k++) if (row.at(k) !== 0) count++
    return BigInt(count)
  }
}

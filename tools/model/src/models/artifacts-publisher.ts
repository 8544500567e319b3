import type { Protocol } from '@slip/kv-core'
import {
  AGAIN,
  DONE,
  JUDGED,
  READ,
  SENDING,
  SENT,
  type ArtifactsShape,
  type ArtifactsState as S,
} from './artifacts-state.ts'
import { IDLE, PublishersFolds } from './publishers.ts'
import { remembered } from './remembered.ts'

const NO_SOURCE = 0

/** What publishers do to the store, one call of it a step, and who prunes with them. */
export class ArtifactsPublisher {
  readonly #shape: ArtifactsShape
  readonly #folds: PublishersFolds<S>
  readonly #mayMove: (pair: number, source: number) => boolean
  readonly #mayPrune: (payload: number, pointer: number) => boolean

  constructor(shape: ArtifactsShape, rules: Protocol) {
    this.#shape = shape
    this.#folds = new PublishersFolds<S>({ done: DONE, newest: (s) => s.head })
    const { most } = shape
    const count = shape.artifacts.length + 1
    this.#mayMove = remembered((pair, source) => {
      const pointer = pair % count
      const said = source - 1
      const verdict = rules.publish({
        candidate: shape.position(Math.floor(pair / count)),
        pointer: pointer === 0 ? undefined : shape.position(pointer),
        source:
          source === NO_SOURCE
            ? undefined
            : {
                incarnation: shape.incarnation(Math.floor(said / (most + 1))),
                lastRevision: BigInt(said % (most + 1)),
              },
      })
      return verdict === 'publish'
    })
    this.#mayPrune = remembered((payload, pointer) => {
      const rank = (artifact: number): bigint => BigInt(shape.cursorOf(artifact))
      return rules.prunable({
        payload: { rank: rank(payload), incarnation: shape.stated(payload) },
        pointer: { rank: rank(pointer), incarnation: shape.stated(pointer) },
        isTarget: payload === pointer,
        ageMs: 1,
        graceMs: 1,
      })
    })
  }

  apply(s: S, n: number): boolean {
    return this.#folds.apply(s, n)
  }

  rebuild(s: S, n: number): boolean {
    return this.#folds.rebuild(s, n)
  }

  /** Exports, and looks whether it is worth sending. */
  export(s: S, n: number): boolean {
    if (s.publisher.at(n) !== IDLE || s.cursor.at(n) === 0) return false
    const may = this.#judge(s, n, s.pointer, this.#said(s.era, s.head))
    const first = this.#shape.options.sendsFirst === 'pointer' ? SENT : SENDING
    s.publisher.set(n, may ? first : DONE)
    return true
  }

  send(s: S, n: number): boolean {
    const again = s.publisher.at(n) === AGAIN
    if (!again && s.publisher.at(n) !== SENDING) return false
    this.#put(s, n)
    s.publisher.set(n, again ? DONE : SENT)
    return true
  }

  readPointer(s: S, n: number): boolean {
    const { asksSource = 'after' } = this.#shape.options
    if (s.publisher.at(n) !== SENT) return false
    s.seen.set(n, s.pointer)
    if (asksSource === 'before') s.saidEra.set(n, s.era)
    s.publisher.set(n, READ)
    return true
  }

  judge(s: S, n: number): boolean {
    if (s.publisher.at(n) !== READ) return false
    if (this.#shape.options.asksSource === 'before') s.seen.set(n, s.pointer)
    const era = this.#shape.options.asksSource === 'before' ? s.saidEra.at(n) : s.era
    const head = era === s.era ? s.head : this.#shape.options.revisions[era]!
    const may = this.#judge(s, n, s.seen.at(n), this.#said(era, head))
    this.#leave(s, n, may ? JUDGED : DONE)
    return true
  }

  /** `heard`: whether the answer arrives. */
  swap(s: S, n: number, heard: boolean): boolean {
    const { compares = true, sendsFirst = 'payload', sendsAgain = true } = this.#shape.options
    if (s.publisher.at(n) !== JUDGED) return false
    const held = this.#shape.held(s, n)
    const seen = s.seen.at(n)
    const moves = seen !== held && (!compares || s.pointer === seen)
    if (!heard && !moves) return false
    if (moves) this.#move(s, held)
    const moved = seen === held || moves
    const told = sendsAgain && !this.#judge(s, n, seen, NO_SOURCE)
    this.#leave(s, n, !moved || !heard ? SENT : sendsFirst === 'pointer' || told ? AGAIN : DONE)
    return true
  }

  crash(s: S, n: number): boolean {
    if (this.#folds.rests(s, n)) return false
    this.#leave(s, n, IDLE)
    return true
  }

  /** Somebody begins to prune. */
  beginToPrune(s: S): boolean {
    if (s.pointer === s.pruning) return false
    s.pruning = s.pointer
    return true
  }

  prune(s: S, payload: number): boolean {
    if (s.pruning === 0 || s.payloads.at(payload - 1) === 0 || !this.#mayPrune(payload, s.pruning))
      return false
    s.payloads.set(payload - 1, 0)
    return true
  }

  #judge(s: S, n: number, pointer: number, source: number): boolean {
    const pair = this.#shape.held(s, n) * (this.#shape.artifacts.length + 1) + pointer
    return this.#mayMove(pair, source)
  }

  #said(era: number, head: number): number {
    const { options, most } = this.#shape
    return options.asksSource === 'never' ? NO_SOURCE : 1 + era * (most + 1) + head
  }

  #put(s: S, n: number): void {
    const { aged = true, payloadsNamedBy } = this.#shape.options
    const held = this.#shape.held(s, n)
    const isThere = (artifact: number): boolean =>
      s.payloads.at(artifact - 1) === 1 &&
      (artifact === held ||
        (payloadsNamedBy === 'rank' && this.#shape.cursorOf(artifact) === this.#shape.cursorOf(held)))
    if (this.#shape.artifacts.some(isThere)) return
    s.payloads.set(held - 1, 1)
    if (!aged) s.pruning = 0
  }

  #move(s: S, to: number): void {
    const shape = this.#shape
    if (s.pointer > 0) {
      const older = shape.eraOf(to) - shape.eraOf(s.pointer)
      const behind = older === 0 && shape.cursorOf(to) < shape.cursorOf(s.pointer)
      if (older < 0 || behind) s.wentBack = 1
    }
    s.pointer = to
  }

  #leave(s: S, n: number, phase: number): void {
    s.publisher.set(n, phase)
    s.saidEra.set(n, 0)
    if (phase !== JUDGED) s.seen.set(n, 0)
  }
}

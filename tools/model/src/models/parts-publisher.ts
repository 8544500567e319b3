import type { Protocol } from '@slip/kv-core'
import {
  AGAIN,
  BROUGHT,
  DONE,
  FITS,
  LAID,
  LOOKED,
  REBASING,
  SEAL_AGAIN,
  SEALED,
  type PartsShape,
  type PartsState as S,
} from './parts-state.ts'
import { IDLE, PublishersFolds } from './publishers.ts'
import { remembered } from './remembered.ts'

const NOBODY_ASKED = 0

/** What publishers do to a store of payloads in parts, one call of it a step. */
export class PartsPublisher {
  readonly #shape: PartsShape
  readonly #folds: PublishersFolds<S>
  readonly #mayMove: (pair: number, source: number) => boolean
  readonly #inherits: Protocol['inheritsParts']
  readonly #sealParts: Protocol['sealParts']

  constructor(shape: PartsShape, rules: Protocol) {
    this.#shape = shape
    this.#folds = new PublishersFolds<S>({ done: DONE, newest: (s) => shape.options.revisions[s.era]! })
    const count = shape.artifacts.length + 1
    this.#mayMove = remembered((pair, source) => {
      const pointer = pair % count
      const verdict = rules.publish({
        candidate: shape.position(Math.floor(pair / count)),
        pointer: pointer === 0 ? undefined : shape.position(pointer),
        source: source === NOBODY_ASKED ? undefined : shape.described(source - 1),
      })
      return verdict === 'publish'
    })
    this.#inherits = rules.inheritsParts
    this.#sealParts = rules.sealParts
  }

  apply(s: S, n: number): boolean {
    return this.#folds.apply(s, n)
  }

  rebuild(s: S, n: number): boolean {
    return this.#folds.rebuild(s, n)
  }

  /** Exports, and looks whether it is worth laying upon anything. */
  export(s: S, n: number): boolean {
    if (s.publisher.at(n) !== IDLE || s.cursor.at(n) === 0) return false
    this.#look(s, n)
    return true
  }

  /** Too much has changed, or what the pointer named is gone. */
  layBase(s: S, n: number): boolean {
    if (s.publisher.at(n) !== LOOKED) return false
    if (this.#takeOver(s, n)) return true
    this.#lay(s, n, this.#shape.lists.base(this.#shape.stateIn(s, n)))
    return true
  }

  /** `all`: in the place of all layers that are there. */
  layLayer(s: S, n: number, all: boolean): boolean {
    if (s.publisher.at(n) !== LOOKED) return false
    const { lists } = this.#shape
    const state = this.#shape.stateIn(s, n)
    const below = this.#listOf(s, s.seen.at(n))
    const { chain, makes } = lists.contents[below]!
    if (below === 0 || makes === state || (all && chain.length === 1)) return false
    if (!this.#judge(s, n, s.seen.at(n), NOBODY_ASKED)) return false
    const layers = all ? 0 : chain.length - 1
    if (!chain.slice(0, layers + 1).every((part) => s.parts.at(part) === 1)) return false
    const made = lists.layer(state, below, layers)
    if (made < 0) return false
    this.#lay(s, n, made)
    return true
  }

  send(s: S, n: number): boolean {
    const phase = s.publisher.at(n)
    if (phase !== LAID && phase !== REBASING && phase !== AGAIN) return false
    s.parts.set(this.#shape.lists.contents[s.made.at(n)]!.chain.at(-1)!, 1)
    s.publisher.set(n, phase === LAID ? BROUGHT : phase === REBASING ? FITS : SEAL_AGAIN)
    return true
  }

  /** Whether the pointer, and what is listed by what it names, lets this one take its place. */
  lookAgain(s: S, n: number): boolean {
    if (s.publisher.at(n) !== BROUGHT) return false
    const { pointer } = s
    const [seen, made] = [s.seen.at(n), s.made.at(n)]
    this.#look(s, n)
    if (s.publisher.at(n) === DONE) return true
    if (pointer === this.#shape.held(s, n)) {
      this.#leave(s, n, DONE)
      return true
    }
    const inherited = this.#shape.lists.takenOver(made)
    // What was listed when it was laid upon is not read twice.
    const listed = pointer === seen ? inherited : this.#partsListed(s, pointer)
    if (!this.#inherits({ inherited: inherited.map(String), pointer: listed?.map(String) })) return true
    s.made.set(n, made)
    s.publisher.set(n, FITS)
    return true
  }

  seal(s: S, n: number): boolean {
    const phase = s.publisher.at(n)
    if (phase !== FITS && phase !== SEAL_AGAIN) return false
    const { lists, options } = this.#shape
    const place = this.#shape.held(s, n) - 1
    const [found, made] = [s.archives.at(place), s.made.at(n)]
    const takesOver = lists.takenOver(made).length > 0
    const verdict = this.#sealParts({
      found:
        found === 0 ? undefined : { isSame: found === made, takesOver: lists.takenOver(found).length > 0 },
      takesOver,
      isTarget: phase === SEAL_AGAIN,
    })
    if (verdict === 'rebase') {
      s.made.set(n, lists.base(this.#shape.stateIn(s, n)))
      s.publisher.set(n, REBASING)
      return true
    }
    if (verdict === 'keep') s.made.set(n, found)
    else {
      if (verdict === 'replace' && options.keeps !== false) s.made.set(n, lists.inPlaceOf(made, found))
      s.archives.set(place, s.made.at(n))
    }
    if (phase === FITS) s.publisher.set(n, SEALED)
    else this.#leave(s, n, DONE)
    return true
  }

  swap(s: S, n: number): boolean {
    if (s.publisher.at(n) !== SEALED) return false
    const seen = s.seen.at(n)
    if (s.pointer !== seen) {
      s.publisher.set(n, BROUGHT)
      return true
    }
    const shape = this.#shape
    const held = shape.held(s, n)
    if (seen > 0 && shape.stateOf(held) < shape.stateOf(seen)) s.wentBack = 1
    s.pointer = held
    // Where only the source said that the pointer may go there, others may have pruned what it names now.
    const told = !this.#judge(s, n, seen, NOBODY_ASKED)
    this.#leave(s, n, told ? AGAIN : DONE)
    if (told) s.made.set(n, shape.lists.base(shape.stateIn(s, n)))
    return true
  }

  crash(s: S, n: number): boolean {
    if (this.#folds.rests(s, n)) return false
    this.#leave(s, n, IDLE)
    return true
  }

  #look(s: S, n: number): void {
    const { pointer } = s
    const may = this.#judge(s, n, pointer, 1 + s.era)
    this.#leave(s, n, may ? LOOKED : DONE)
    if (may) s.seen.set(n, pointer)
  }

  /** What makes the very same payload is taken over as it is. */
  #takeOver(s: S, n: number): boolean {
    const { lists } = this.#shape
    const state = this.#shape.stateIn(s, n)
    const found = this.#listOf(s, s.seen.at(n))
    if (lists.contents[found]!.makes !== state) return false
    s.made.set(n, lists.contents[found]!.kept.length > 0 ? lists.base(state) : found)
    s.publisher.set(n, BROUGHT)
    return true
  }

  #lay(s: S, n: number, made: number): void {
    s.made.set(n, made)
    s.publisher.set(n, LAID)
  }

  #judge(s: S, n: number, pointer: number, source: number): boolean {
    return this.#mayMove(this.#shape.held(s, n) * (this.#shape.artifacts.length + 1) + pointer, source)
  }

  #listOf(s: S, artifact: number): number {
    return artifact === 0 ? 0 : s.archives.at(artifact - 1)
  }

  #partsListed(s: S, artifact: number): readonly number[] | undefined {
    const list = this.#listOf(s, artifact)
    const { lists, options } = this.#shape
    if (list === 0) return undefined
    return options.inheritsKept === true ? lists.partsOf(list) : lists.contents[list]!.chain
  }

  #leave(s: S, n: number, phase: number): void {
    s.publisher.set(n, phase)
    s.seen.set(n, 0)
    s.made.set(n, 0)
  }
}

import type { LayersAfter, Protocol } from '@slip/kv-core'
import {
  EMPTY,
  FETCHING,
  MADE,
  MISSED,
  POINTED,
  SPOILT,
  type PartsShape,
  type PartsState as S,
} from './parts-state.ts'
import { remembered } from './remembered.ts'

/** A node that follows the pointer, and fetches what it lacks part by part. */
export class PartsNewcomer {
  readonly #shape: PartsShape
  readonly #plan: (list: number, has: number) => LayersAfter | undefined

  constructor(shape: PartsShape, rules: Protocol) {
    this.#shape = shape
    const { parts, contents } = shape.lists
    this.#plan = remembered((list, has) => {
      const { chain, makes } = contents[list]!
      return rules.layersAfter({
        states: chain.map((part) => String(parts[part]!.to)),
        own: has === 0 ? undefined : String(has),
        wanted: String(makes),
      })
    })
  }

  readPointer(s: S): boolean {
    const looksAgain = s.newcomer === MISSED && s.pointer !== s.got
    if ((s.newcomer !== EMPTY && !looksAgain) || s.pointer === 0) return false
    s.newcomer = POINTED
    s.got = s.pointer
    s.gotList = 0
    return true
  }

  readList(s: S): boolean {
    if (s.newcomer !== POINTED) return false
    s.gotList = s.archives.at(s.got - 1)
    if (s.gotList === 0) {
      s.newcomer = MISSED
      return true
    }
    const plan = this.#plan(s.gotList, s.has)
    const layers = this.#chain(s).length - 1
    if (plan === undefined || !this.#fits(s, plan)) s.newcomer = SPOILT
    else if (plan.begin === 'own' && plan.skip === layers) this.#made(s)
    else s.newcomer = FETCHING + (plan.begin === 'own' ? plan.skip + 1 : 0)
    return true
  }

  fetch(s: S): boolean {
    const at = s.newcomer - FETCHING
    const chain = this.#chain(s)
    if (at < 0 || s.newcomer >= MISSED) return false
    if (s.parts.at(chain[at]!) === 0) s.newcomer = MISSED
    else if (at + 1 === chain.length) this.#made(s)
    else s.newcomer++
    return true
  }

  /** It wants what is newer than what it made. */
  beginAgain(s: S): boolean {
    if (s.newcomer !== MADE) return false
    s.newcomer = EMPTY
    return true
  }

  /** What is here stays here, as does what was made before. */
  crash(s: S): boolean {
    if (s.newcomer === EMPTY || s.newcomer >= MADE) return false
    s.newcomer = EMPTY
    s.got = 0
    s.gotList = 0
    return true
  }

  /** What was made before is lost. */
  lose(s: S): boolean {
    if (s.has === 0 || (s.newcomer !== EMPTY && s.newcomer !== MADE)) return false
    s.has = 0
    s.newcomer = EMPTY
    return true
  }

  #chain(s: S): readonly number[] {
    return this.#shape.lists.contents[s.gotList]!.chain
  }

  /** Whether each layer is applied to the state that it is laid upon, up to the one that is wanted. */
  #fits(s: S, { begin, skip }: LayersAfter): boolean {
    const { parts } = this.#shape.lists
    const layers = this.#chain(s).slice(1 + skip)
    let state = begin === 'own' ? s.has : parts[this.#chain(s)[0]!]!.to
    for (const layer of layers) {
      if (parts[layer]!.from !== state) return false
      state = parts[layer]!.to
    }
    return state === this.#shape.stateOf(s.got)
  }

  #made(s: S): void {
    s.newcomer = MADE
    s.has = this.#shape.stateOf(s.got)
    s.got = 0
    s.gotList = 0
  }
}

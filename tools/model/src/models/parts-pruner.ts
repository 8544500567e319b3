import type { Protocol } from '@slip/kv-core'
import type { PartsShape, PartsState as S } from './parts-state.ts'
import { remembered } from './remembered.ts'

const AGED = { ageMs: 1, graceMs: 1 } as const

/** Those who prune: one for whom all else stands still, and one that does a step now and then. */
export class PartsPruner {
  readonly #shape: PartsShape
  readonly #mayPrune: (payload: number, pointer: number) => boolean
  readonly #mayPruneListed: (part: number, pointer: number) => boolean
  readonly #mayPruneUnlisted: (part: number, pointer: number) => boolean
  readonly #mayPruneMoved: (part: number, pointer: number) => boolean

  constructor(shape: PartsShape, rules: Protocol) {
    this.#shape = shape
    const rank = (artifact: number): ReturnType<PartsShape['rank']> => shape.rank(shape.stateOf(artifact))
    this.#mayPrune = remembered((payload, pointer) =>
      rules.prunable({
        ...AGED,
        payload: rank(payload),
        pointer: rank(pointer),
        isTarget: payload === pointer,
      }),
    )
    const ofPart = (
      isListed: boolean,
      isPointerStill: boolean,
    ): ((part: number, pointer: number) => boolean) =>
      remembered((part, pointer) =>
        rules.prunablePart({
          ...AGED,
          part: shape.rank(shape.lists.parts[part]!.to),
          pointer: rank(pointer),
          isListed,
          isPointerStill,
        }),
      )
    this.#mayPruneListed = ofPart(true, true)
    this.#mayPruneUnlisted = ofPart(false, true)
    this.#mayPruneMoved = ofPart(false, false)
  }

  payload(s: S, artifact: number): boolean {
    if (s.pointer === 0 || s.archives.at(artifact - 1) === 0 || !this.#mayPrune(artifact, s.pointer))
      return false
    s.archives.set(artifact - 1, 0)
    return true
  }

  part(s: S, part: number): boolean {
    if (s.pointer === 0 || s.parts.at(part) === 0) return false
    const isListed = this.#shape.artifacts.some((artifact) => this.#lists(s, artifact, part))
    if (!(isListed ? this.#mayPruneListed : this.#mayPruneUnlisted)(part, s.pointer)) return false
    s.parts.set(part, 0)
    return true
  }

  /** The slow one reads the pointer, and finds a part, and which payloads are there. */
  begin(s: S, part: number): boolean {
    if (s.pointer === 0 || s.doomed > 0 || !this.#mayPruneUnlisted(part, s.pointer)) return false
    s.doomed = part + 1
    s.pruning = s.pointer
    for (const artifact of this.#shape.artifacts)
      if (artifact === s.pointer || s.archives.at(artifact - 1) > 0) s.unread.set(artifact - 1, 1)
    return true
  }

  /** Looks into the next of the payloads that it found, first into that of the pointer. */
  look(s: S): boolean {
    const next = this.#next(s)
    if (s.doomed === 0 || next === undefined) return false
    s.unread.set(next - 1, 0)
    const { givesUp } = this.#shape.options
    const isGone = givesUp === 'gone' && next === s.pruning && s.archives.at(next - 1) === 0
    const part = s.doomed - 1
    if (isGone || (this.#lists(s, next, part) && !this.#mayPruneListed(part, s.pruning))) this.#rest(s)
    return true
  }

  lookAgain(s: S): boolean {
    const { givesUp = 'moved' } = this.#shape.options
    if (s.doomed === 0 || s.sure === 1 || givesUp !== 'moved' || this.#next(s) !== undefined) return false
    if (s.pointer === s.pruning || this.#mayPruneMoved(s.doomed - 1, s.pruning)) s.sure = 1
    else this.#rest(s)
    return true
  }

  delete(s: S): boolean {
    const { givesUp = 'moved' } = this.#shape.options
    if (s.doomed === 0 || this.#next(s) !== undefined || (givesUp === 'moved' && s.sure === 0)) return false
    s.parts.set(s.doomed - 1, 0)
    this.#rest(s)
    return true
  }

  #next(s: S): number | undefined {
    return [s.pruning, ...this.#shape.artifacts].find(
      (artifact) => artifact > 0 && s.unread.at(artifact - 1) === 1,
    )
  }

  #lists(s: S, artifact: number, part: number): boolean {
    return this.#shape.lists.partsOf(s.archives.at(artifact - 1)).includes(part)
  }

  #rest(s: S): void {
    s.doomed = 0
    s.pruning = 0
    s.sure = 0
    for (const artifact of this.#shape.artifacts) s.unread.set(artifact - 1, 0)
  }
}

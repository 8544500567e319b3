import { WatchCursor, type Protocol } from '@slip/kv-core'
import {
  DIVERGED,
  EMPTY,
  FETCHED,
  FOREIGN,
  IMPORTED,
  LIVE,
  MISSED,
  POINTED,
  type ArtifactsShape,
  type ArtifactsState as S,
} from './artifacts-state.ts'
import { remembered } from './remembered.ts'

type Action = ReturnType<Protocol['attach']>['action']

const LIMITS = {
  createdAtUnix: 0,
  signature: 'absent',
  requireSignature: false,
  maxAgeMs: Infinity,
  nowMs: 0,
} as const
/** The history that is wanted where none is. */
const ANY = 0

/** A node with nothing, which starts from an artifact and goes on from its cursor. */
export class ArtifactsNewcomer {
  readonly #shape: ArtifactsShape
  readonly #admits: (artifact: number, wanted: number) => boolean
  readonly #attach: (artifact: number, bucket: number) => Action

  constructor(shape: ArtifactsShape, rules: Protocol) {
    this.#shape = shape
    const { most, options } = shape
    this.#admits = remembered((artifact, wanted) => {
      const refusal = rules.admitArtifact({
        ...LIMITS,
        cursor: shape.revision(shape.cursorOf(artifact)),
        binding: shape.binding(artifact),
        prefixes: [''],
        wanted: {
          kind: 'model',
          name: 'bucket',
          incarnation: wanted === ANY ? undefined : shape.incarnation(wanted - 1),
          whenEvicted: 'drop',
          prefixes: [''],
        },
      })
      return refusal === undefined
    })
    this.#attach = remembered((artifact, bucket) => {
      const head = bucket % (most + 1)
      const floor = Math.floor(bucket / (most + 1)) % (most + 1)
      const era = Math.floor(bucket / (most + 1) ** 2)
      const cursor = artifact === 0 ? WatchCursor.none : shape.revision(shape.cursorOf(artifact))
      const binding = artifact === 0 ? undefined : shape.binding(artifact)
      const { action } = rules.attach({
        fold: { binding, cursor, populated: artifact > 0, settled: true },
        source: {
          kind: 'model',
          name: 'bucket',
          incarnation: shape.incarnation(era),
          firstRevision: BigInt(floor + 1),
          lastRevision: BigInt(head),
          ...(options.bounded === true ? {} : { evictsCurrentValues: false }),
        },
        scope: [''],
        whenEvicted: 'drop',
        repair: 'auto',
        // The anchors of a fold go with its binding; what they prove is the attach model's.
        history: artifact === 0 ? undefined : binding === undefined ? 'unknown' : 'same',
      })
      return action
    })
  }

  readPointer(s: S): boolean {
    const looksAgain = s.newcomer === MISSED
    if ((s.newcomer !== EMPTY && !looksAgain) || s.pointer === 0) return false
    if (looksAgain && s.pointer === s.got) return false
    const shape = this.#shape
    // What is wanted is said once: what was missed was of that history.
    const wanted = looksAgain ? shape.eraOf(s.got) : s.era
    const { informed } = shape.options
    if (!this.#admits(s.pointer, informed === true ? wanted + 1 : ANY)) {
      // An artifact that is refused leaves an empty fold, which the bucket fills.
      this.#begin(s)
      return true
    }
    if (informed === true && shape.stated(s.pointer) !== undefined && shape.eraOf(s.pointer) !== wanted)
      s.misled = 1
    s.newcomer = POINTED
    s.got = s.pointer
    return true
  }

  fetch(s: S): boolean {
    if (s.newcomer !== POINTED) return false
    s.newcomer = s.payloads.at(s.got - 1) === 1 ? FETCHED : MISSED
    return true
  }

  import(s: S): boolean {
    if (s.newcomer !== FETCHED) return false
    s.newcomer = IMPORTED
    return true
  }

  startWithout(s: S): boolean {
    if (s.newcomer !== EMPTY || s.pointer > 0) return false
    this.#begin(s)
    return true
  }

  attach(s: S): boolean {
    if (s.newcomer !== IMPORTED) return false
    this.#begin(s)
    return true
  }

  /** The process ends, or what it has is damaged. */
  lose(s: S): boolean {
    if (s.newcomer === EMPTY || s.newcomer >= LIVE) return false
    s.newcomer = EMPTY
    s.got = 0
    return true
  }

  /** Goes on from an import, or from nothing, up to the newest revision. */
  #begin(s: S): void {
    const shape = this.#shape
    const { most } = shape
    const from = s.newcomer === IMPORTED ? s.got : 0
    s.got = 0
    const action = this.#attach(from, (s.era * (most + 1) + s.floor) * (most + 1) + s.head)
    if (action !== 'resume' || from === 0) s.newcomer = LIVE
    else if (shape.eraOf(from) !== s.era) s.newcomer = FOREIGN
    else s.newcomer = this.#resumed(s, shape.cursorOf(from)) === shape.hasKey(s, s.head) ? LIVE : DIVERGED
  }

  /** Whether the key is in a fold of this history that was delivered what the log has above its cursor. */
  #resumed(s: S, cursor: number): boolean {
    const isGone = s.deletedAt > cursor && s.deletedAt <= s.floor
    return this.#shape.hasKey(s, isGone ? cursor : s.head)
  }
}

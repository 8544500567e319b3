import type { ArtifactPosition, PayloadRank } from '@slip/kv-core'
import { WatchCursor } from '@slip/kv-core'
import { Layout, type State } from '../explorer/layout.ts'
import { PartLists } from './part-lists.ts'
import { historyName } from './publishers.ts'

export interface PartsOptions {
  readonly name: string
  readonly publishers: number
  /** In each history of the bucket, one after the other: it begins with all of them. */
  readonly revisions: readonly number[]
  /** Whether two who publish one state have the same manifest, and so one archive. @default false */
  readonly twins?: boolean
  /** What artifacts say of their history: when it began, or a name that says nothing of the order. @default 'dated' */
  readonly histories?: 'dated' | 'named'
  /** Whether somebody prunes so slowly that all else may happen between two of its steps. @default true */
  readonly slowPruner?: boolean
  /** Whether a node downloads. @default true */
  readonly newcomer?: boolean
  /** Whether publishers can end at any step. @default true */
  readonly crashes?: boolean
  /** Whether the base that takes an archive's place lists what that listed. @default true */
  readonly keeps?: boolean
  /** Whether what is only kept may be taken over. @default false */
  readonly inheritsKept?: boolean
  /**
   * When who prunes gives up: when the pointer, looked at again before anything is deleted, moved; only when the payload that it
   * named is gone; or never. @default 'moved'
   */
  readonly givesUp?: 'moved' | 'gone' | 'never'
  /** The properties that are not asked. @default none */
  readonly except?: readonly string[]
}

/** Where a publisher is, if it is not `IDLE`: it saw a pointer, and may publish. */
export const LOOKED = 1
/** It has a list, whose new part is to be sent. */
export const LAID = 2
/** All parts were sent. */
export const BROUGHT = 3
/** It saw a pointer again, which lists what is taken over. */
export const FITS = 4
/** It found another list in its archive, and sends its own base. */
export const REBASING = 5
/** Its archive is there. */
export const SEALED = 6
/** It moved the pointer, and its part may be gone, or its archive. */
export const AGAIN = 7
export const SEAL_AGAIN = 8
export const DONE = 9

/** Where a newcomer is. */
export const EMPTY = 0
export const POINTED = 1
/** It has the list, and fetches the part of this place, and so on. */
export const FETCHING = 2
export const MISSED = 6
export const MADE = 7
/** What it made is not what it wanted. */
export const SPOILT = 8

export type PartsFields = {
  readonly era: number
  readonly publisher: readonly [number, number]
  readonly foldEra: readonly [number, number]
  readonly cursor: readonly [number, number]
  /** The pointer, as each publisher saw it last. */
  readonly seen: readonly [number, number]
  /** What each has made, or found, for its archive. */
  readonly made: readonly [number, number]
  /** An artifact, 0 for none. */
  readonly pointer: number
  /** What each artifact's archive lists, 0 for none that is there. */
  readonly archives: readonly [number, number]
  readonly parts: readonly [number, number]
  /** The part that the slow pruner is about to delete, the pointer by which it does, the payloads it has yet to look into. */
  readonly doomed: number
  readonly pruning: number
  readonly unread: readonly [number, number]
  /** Whether it looked at the pointer again. */
  readonly sure: number
  readonly newcomer: number
  readonly got: number
  readonly gotList: number
  /** The state that it made before, 0 for none. */
  readonly has: number
  readonly wentBack: number
}

export type PartsState = State<PartsFields>

/** The fields, states and artifacts of one size. */
export class PartsShape {
  readonly options: PartsOptions
  readonly layout: Layout<PartsFields>
  readonly lists: PartLists
  readonly publishers: readonly number[]
  readonly artifacts: readonly number[]
  readonly eras: number
  readonly #states: readonly { readonly era: number; readonly cursor: number }[]
  readonly #first: readonly number[]

  constructor(options: PartsOptions) {
    const { publishers, revisions, twins = false, slowPruner = true, newcomer = true } = options
    this.options = options
    this.eras = revisions.length
    this.publishers = Array.from({ length: publishers }, (_, n) => n)
    this.#states = revisions.flatMap((last, era) =>
      Array.from({ length: last }, (_, index) => ({ era, cursor: index + 1 })),
    )
    this.#first = revisions.map((_, era) => this.#states.findIndex((each) => each.era === era) + 1)
    const states = this.#states.length
    this.lists = new PartLists(states)
    this.artifacts = Array.from({ length: twins ? states : states * publishers }, (_, index) => index + 1)
    const [artifacts, contents] = [this.artifacts.length, this.lists.contents.length]
    const slow = slowPruner ? artifacts : 0
    this.layout = new Layout<PartsFields>({
      era: this.eras,
      publisher: [publishers, 10],
      foldEra: [publishers, this.eras],
      cursor: [publishers, Math.max(...revisions) + 1],
      seen: [publishers, artifacts + 1],
      made: [publishers, contents],
      pointer: artifacts + 1,
      archives: [artifacts, contents],
      parts: [this.lists.parts.length, 2],
      doomed: slowPruner ? this.lists.parts.length + 1 : 1,
      pruning: slow + 1,
      unread: [slow, 2],
      sure: slowPruner ? 2 : 1,
      newcomer: newcomer ? SPOILT + 1 : 1,
      got: newcomer ? artifacts + 1 : 1,
      gotList: newcomer ? contents : 1,
      has: newcomer ? states + 1 : 1,
      wentBack: 2,
    })
  }

  /** What an artifact is of: states are numbered from 1 in the order of their ranks. */
  stateOf(artifact: number): number {
    return ((artifact - 1) % this.#states.length) + 1
  }

  eraOf(state: number): number {
    return this.#states[state - 1]!.era
  }

  /** What a publisher's fold is at. */
  stateIn(s: PartsState, n: number): number {
    return this.#first[s.foldEra.at(n)]! + s.cursor.at(n) - 1
  }

  /** What a publisher has in hand. */
  held(s: PartsState, n: number): number {
    return this.stateIn(s, n) + (this.options.twins === true ? 0 : n * this.#states.length)
  }

  /** The newest state of the bucket. */
  newest(s: PartsState): number {
    return this.#first[s.era]! + this.options.revisions[s.era]! - 1
  }

  incarnation(era: number): string {
    return historyName(this.options.histories === 'named' ? 'named' : 'dated', era)
  }

  /** What the source says while the bucket is in a history. */
  described(era: number): { readonly incarnation: string; readonly lastRevision: bigint } {
    return {
      incarnation: this.incarnation(era),
      lastRevision: BigInt(this.options.revisions[era]!),
    }
  }

  rank(state: number): PayloadRank {
    const { era, cursor } = this.#states[state - 1]!
    return { rank: BigInt(cursor), incarnation: this.incarnation(era) }
  }

  position(artifact: number): ArtifactPosition {
    const { era, cursor } = this.#states[this.stateOf(artifact) - 1]!
    return {
      family: 'native',
      cursor: WatchCursor.fromRevision(BigInt(cursor)),
      binding: {
        kind: 'model',
        name: 'bucket',
        incarnation: this.incarnation(era),
        scope: [''],
        whenEvicted: 'drop',
        evictionSeen: false,
      },
    }
  }

  show(artifact: number): string {
    if (artifact === 0) return ''
    const state = this.stateOf(artifact)
    const publisher = Math.floor((artifact - 1) / this.#states.length)
    return this.options.twins === true ? `s${state}` : `p${publisher} s${state}`
  }
}

import type { ArtifactPosition, Binding, WatchCursor } from '@slip/kv-core'
import { WatchCursor as Cursor } from '@slip/kv-core'
import { Layout, type State } from '../explorer/layout.ts'
import { historyName } from './publishers.ts'

export interface ArtifactsOptions {
  readonly name: string
  readonly publishers: number
  /** In each history of the bucket, one after the other. */
  readonly revisions: readonly number[]
  /**
   * What artifacts say of their history: when it began, a name that says nothing of the order, or nothing at all, as
   * interchange artifacts do. @default 'dated'
   */
  readonly histories?: 'dated' | 'named' | 'unstated'
  /** When a publisher asks the bucket's source, as seen from its reading of the pointer. @default 'after' */
  readonly asksSource?: 'after' | 'before' | 'never'
  /** Whether newcomers say which history they want. @default false */
  readonly informed?: boolean
  /** Whether the log is bounded: what a newcomer would resume after can be gone. @default false */
  readonly bounded?: boolean
  /** Whether publishers can end at any step. @default true */
  readonly crashes?: boolean
  /** Whether a swap can be done without its publisher hearing of it. @default false */
  readonly lostAnswers?: boolean
  /** Whether a payload is older than the grace as soon as it is there, or only for who prunes after it came. @default true */
  readonly aged?: boolean
  /** Whether a pointer is moved only from where it was read. @default true */
  readonly compares?: boolean
  /** @default 'payload' */
  readonly sendsFirst?: 'payload' | 'pointer'
  /** Whether a payload that others may have pruned is sent again. @default true */
  readonly sendsAgain?: boolean
  /** @default 'content' */
  readonly payloadsNamedBy?: 'content' | 'rank'
  /** The properties that are not asked. @default none */
  readonly except?: readonly string[]
}

/** Where a publisher is, if it is not `IDLE`: it has an artifact that the pointer it saw lets it publish. */
export const SENDING = 1
export const SENT = 2
/** It read the pointer, and knows nothing of the source. */
export const READ = 3
/** It may move the pointer from where it saw it. */
export const JUDGED = 4
/** It moved the pointer, and its payload may be gone. */
export const AGAIN = 5
/** Nothing to do before its fold moves. */
export const DONE = 6

/** Where a newcomer is. */
export const EMPTY = 0
export const POINTED = 1
export const MISSED = 2
export const FETCHED = 3
export const IMPORTED = 4
export const LIVE = 5
/** Its fold differs from its bucket. */
export const DIVERGED = 6
/** It went on from another history. */
export const FOREIGN = 7

export type ArtifactsFields = {
  readonly era: number
  readonly head: number
  /** Nothing at or below it is left in the log. */
  readonly floor: number
  /** When the one key was deleted in a bounded log, 0 for not: elsewhere it makes no difference. */
  readonly deletedAt: number
  readonly publisher: readonly [number, number]
  /** Of each publisher's fold, and of the artifact it has in hand. */
  readonly foldEra: readonly [number, number]
  readonly cursor: readonly [number, number]
  /** The pointer, as each publisher read it. An artifact, 0 for none. */
  readonly seen: readonly [number, number]
  readonly saidEra: readonly [number, number]
  readonly pointer: number
  /** Whether the payload of each artifact is there. */
  readonly payloads: readonly [number, number]
  /** The pointer by which somebody prunes. */
  readonly pruning: number
  readonly newcomer: number
  readonly got: number
  readonly wentBack: number
  readonly misled: number
}

export type ArtifactsState = State<ArtifactsFields>

const KIND = { kind: 'model', name: 'bucket' } as const

/** The fields and the artifacts of one size. An artifact is who exported it, of which history, at which cursor. */
export class ArtifactsShape {
  readonly options: ArtifactsOptions
  readonly layout: Layout<ArtifactsFields>
  readonly publishers: readonly number[]
  readonly artifacts: readonly number[]
  readonly eras: number
  readonly most: number
  /** The first artifact of each publisher in each history. */
  readonly #first: readonly number[]
  readonly #cursors: readonly WatchCursor[]
  readonly #all: readonly { readonly publisher: number; readonly era: number; readonly cursor: number }[]

  constructor(options: ArtifactsOptions) {
    const { publishers, revisions, bounded, asksSource = 'after' } = options
    this.options = options
    this.eras = revisions.length
    this.most = Math.max(...revisions)
    this.publishers = Array.from({ length: publishers }, (_, n) => n)
    this.#all = this.publishers.flatMap((publisher) =>
      revisions.flatMap((last, era) =>
        Array.from({ length: last }, (_, index) => ({ publisher, era, cursor: index + 1 })),
      ),
    )
    this.artifacts = this.#all.map((_, index) => index + 1)
    this.#first = this.#all.flatMap(({ cursor }, index) => (cursor === 1 ? [index + 1] : []))
    this.#cursors = Array.from({ length: this.most + 1 }, (_, revision) =>
      Cursor.fromRevision(BigInt(revision)),
    )
    const artifacts = this.artifacts.length + 1
    this.layout = new Layout<ArtifactsFields>({
      era: this.eras,
      head: this.most + 1,
      floor: bounded === true ? this.most + 1 : 1,
      deletedAt: bounded === true ? this.most + 1 : 1,
      publisher: [publishers, 7],
      foldEra: [publishers, this.eras],
      cursor: [publishers, this.most + 1],
      seen: [publishers, artifacts],
      saidEra: [publishers, asksSource === 'before' ? this.eras : 1],
      pointer: artifacts,
      payloads: [this.artifacts.length, 2],
      pruning: artifacts,
      newcomer: 8,
      got: artifacts,
      wentBack: 2,
      misled: 2,
    })
  }

  eraOf(artifact: number): number {
    return this.#all[artifact - 1]!.era
  }

  cursorOf(artifact: number): number {
    return this.#all[artifact - 1]!.cursor
  }

  /** What a publisher has in hand. */
  held(s: ArtifactsState, n: number): number {
    const era = s.foldEra.at(n)
    return this.#first[n * this.eras + era]! + s.cursor.at(n) - 1
  }

  /** Whether the key is in a fold of the bucket at a cursor. */
  hasKey({ deletedAt }: ArtifactsState, cursor: number): boolean {
    return deletedAt === 0 || cursor < deletedAt
  }

  /** As the bucket's source calls a history. */
  incarnation(era: number): string {
    return historyName(this.options.histories === 'named' ? 'named' : 'dated', era)
  }

  /** As an artifact states its history. */
  stated(artifact: number): string | undefined {
    return this.options.histories === 'unstated' ? undefined : this.incarnation(this.eraOf(artifact))
  }

  revision(cursor: number): WatchCursor {
    return this.#cursors[cursor]!
  }

  binding(artifact: number): Binding | undefined {
    const incarnation = this.stated(artifact)
    return incarnation === undefined
      ? undefined
      : { ...KIND, incarnation, scope: [''], whenEvicted: 'drop', evictionSeen: false }
  }

  position(artifact: number): ArtifactPosition {
    return {
      family: this.options.histories === 'unstated' ? 'interchange' : 'native',
      cursor: this.revision(this.cursorOf(artifact)),
      binding: this.binding(artifact),
    }
  }

  show(artifact: number): string {
    if (artifact === 0) return ''
    const { publisher, era, cursor } = this.#all[artifact - 1]!
    return `p${publisher} ${era}.${cursor}`
  }
}

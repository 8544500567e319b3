import { Layout, type State } from '../explorer/layout.ts'
import { Messages } from './message.ts'

export interface ResyncOptions {
  readonly name: string
  readonly keys: number
  readonly revisions: number
  /** Whether the process can end at any moment. @default true */
  readonly crashes?: boolean
  /** How often a staged fold can be lost. @default 0 */
  readonly discards?: number
  /** Where the new fold is made: beside the old one, or in its place. @default 'staged' */
  readonly place?: 'staged' | 'inPlace'
  /**
   * When it is settled which keys vanished, to be handed over when the listing is over: then, or when the
   * listing begins; `swapped` hands them over after the new fold took the place of the old. @default 'after'
   */
  readonly removals?: 'after' | 'before' | 'swapped'
  /** See `WatchOptions.strict`. */
  readonly strict?: boolean
}

export const DOWN = 0
export const IDLE = 1
export const LIVE = 2
export const LISTING = 3
/** Hands over a delete for each key that vanished. */
export const REMOVING = 4

export type ResyncFields = {
  readonly last: number
  readonly bucket: readonly [number, number]
  readonly mode: number
  readonly sent: number
  readonly target: number
  readonly fold: readonly [number, number]
  readonly cursor: number
  readonly staged: readonly [number, number]
  readonly stagedCursor: number
  /** What was said to have vanished, when that is settled first. */
  readonly vanished: readonly [number, number]
  readonly removing: number
  readonly rebuilding: number
  /** What `apply` made of what it was given, in a system that outlives the process. */
  readonly view: readonly [number, number]
  readonly handed: number
  readonly discards: number
  /** The fold in use has what the bucket has of a key. */
  readonly had: readonly [number, number]
  readonly owed: readonly [number, number]
  readonly swapped: number
}

export type ResyncState = State<ResyncFields>

export class ResyncShape {
  readonly options: ResyncOptions
  readonly messages: Messages
  /** Whether what vanished is noted, as opposed to looked up when it is handed over. */
  readonly settlesVanished: boolean
  readonly layout: Layout<ResyncFields>

  constructor(options: ResyncOptions) {
    const { keys, revisions, discards = 0 } = options
    this.options = options
    this.settlesVanished = options.removals === 'before' || options.removals === 'swapped'
    this.messages = new Messages(revisions, 1)
    const { values } = this.messages
    const positions = revisions + 1
    this.layout = new Layout<ResyncFields>({
      last: positions,
      bucket: [keys, values],
      mode: 5,
      sent: positions,
      target: positions,
      fold: [keys, values],
      cursor: positions,
      staged: [keys, values],
      stagedCursor: positions,
      vanished: [this.settlesVanished ? keys : 0, 2],
      removing: keys + 1,
      rebuilding: 2,
      view: [keys, values],
      handed: positions,
      discards: discards + 1,
      had: [keys, 2],
      owed: [keys, 2],
      swapped: 2,
    })
  }

  /** The key of the next message above what was sent; negative when there is none. */
  nextAfter(s: ResyncState): number {
    let next = -1
    let least = Infinity
    for (let k = 0; k < this.options.keys; k++) {
      const revision = this.messages.revision(s.bucket.at(k))
      if (revision <= s.sent || revision >= least) continue
      next = k
      least = revision
    }
    return next
  }

  isLive(code: number): boolean {
    return this.messages.isLive(code)
  }

  /** Notes for which keys a reader has what the bucket has, so that none of it may disappear. */
  note(s: ResyncState): void {
    for (let k = 0; k < this.options.keys; k++) {
      const inBucket = s.bucket.at(k)
      if (!this.isLive(inBucket)) s.had.set(k, 0)
      else if (s.fold.at(k) === inBucket) s.had.set(k, 1)
    }
  }
}

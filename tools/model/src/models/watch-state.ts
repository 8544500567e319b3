import { Layout, type Row, type State } from '../explorer/layout.ts'
import { Messages } from './message.ts'

export interface WatchOptions {
  readonly name: string
  readonly keys: number
  /** The first so many keys are followed; all unless given. */
  readonly scoped?: number
  readonly revisions: number
  /** Updates that can be under way, and in a batch. @default 2 */
  readonly queue?: number
  /** Whether the oldest message can be evicted, and markers cleaned up. */
  readonly retention?: boolean
  /** How often the server may send something a second time. @default 0 */
  readonly redeliveries?: number
  /** Whether the process can end at any moment. @default true */
  readonly crashes?: boolean
  /** Whether commits can fail, so that the fold is opened again. */
  readonly failures?: boolean
  /**
   * Whether what `apply` made has to equal the fold even of a value that vanished without a message after
   * `apply` was given it and before its commit.
   */
  readonly strict?: boolean
  /** Where the next session begins: the ancestor of this rule kept what it had received. @default 'applied' */
  readonly resumesFrom?: 'applied' | 'delivered'
  /** What a heartbeat speaks of: all that was sent, or the end of the stream. @default 'sent' */
  readonly bookmarks?: 'sent' | 'stream'
}

export const DOWN = 0
export const IDLE = 1
export const WATCHING = 2
/** The watch has ended, and what it delivered is flushed. */
export const ENDING = 3

export type WatchFields = {
  readonly last: number
  readonly bucket: readonly [number, number]
  /** Sent and not delivered, oldest first; 0 ends it. */
  readonly wire: readonly [number, number]
  /** Delivered and not committed. */
  readonly batch: readonly [number, number]
  readonly handing: number
  readonly mode: number
  readonly sent: number
  /** Delivered through. */
  readonly position: number
  readonly fold: readonly [number, number]
  readonly cursor: number
  /** What `apply` made of what it was given, in a system that outlives the process. */
  readonly view: readonly [number, number]
  readonly handed: number
  readonly suspect: number
  readonly redeliveries: number
  readonly twice: number
  /** `apply` was given it, and the process or the handle ended before the commit. */
  readonly owed: readonly [number, number]
}

export type WatchState = State<WatchFields>

/** A thing under way: an update of a key, or a bookmark. */
export interface Item {
  readonly revision: number
  /** Negative for a bookmark. */
  readonly key: number
  readonly code: number
}

export class WatchShape {
  readonly options: WatchOptions
  readonly scoped: number
  readonly queue: number
  readonly messages: Messages
  readonly layout: Layout<WatchFields>
  readonly #items: readonly Item[]

  constructor(options: WatchOptions) {
    const { keys, revisions, queue = 2 } = options
    this.options = options
    this.queue = queue
    this.scoped = options.scoped ?? keys
    this.messages = new Messages(revisions, 1)
    const { values } = this.messages
    const items: Item[] = [{ revision: 0, key: -1, code: 0 }]
    for (let revision = 1; revision <= revisions; revision++) {
      items.push({ revision, key: -1, code: 0 })
      for (let key = 0; key < this.scoped; key++)
        for (const marker of [false, true])
          items.push({ revision, key, code: this.messages.code(revision, 0, marker) })
    }
    this.#items = items
    const positions = revisions + 1
    this.layout = new Layout<WatchFields>({
      last: positions,
      bucket: [keys, values],
      wire: [queue, items.length],
      batch: [queue, items.length],
      handing: 2,
      mode: 4,
      sent: positions,
      position: positions,
      fold: [this.scoped, values],
      cursor: positions,
      view: [this.scoped, values],
      handed: positions,
      suspect: 2,
      redeliveries: (options.redeliveries ?? 0) + 1,
      twice: 2,
      owed: [this.scoped, 2],
    })
  }

  item(number: number): Item {
    return this.#items[number]!
  }

  update(key: number, code: number): number {
    return this.#items.findIndex((item) => item.key === key && item.code === code)
  }

  bookmark(revision: number): number {
    return this.#items.findIndex((item) => item.key < 0 && item.revision === revision)
  }

  /** The key of the next message in scope above what was sent; negative when there is none. */
  nextAfter(s: WatchState): number {
    let next = -1
    let least = Infinity
    for (let k = 0; k < this.scoped; k++) {
      const revision = this.messages.revision(s.bucket.at(k))
      if (revision <= s.sent || revision >= least) continue
      next = k
      least = revision
    }
    return next
  }
}

/** False when the queue is full. */
export function enqueue(row: Row, length: number, item: number): boolean {
  for (let at = 0; at < length; at++)
    if (row.at(at) === 0) {
      row.set(at, item)
      return true
    }
  return false
}

export function dequeue(row: Row, length: number): number {
  const item = row.at(0)
  for (let at = 1; at < length; at++) row.set(at - 1, row.at(at))
  row.set(length - 1, 0)
  return item
}

export function clear(row: Row, length: number): void {
  for (let at = 0; at < length; at++) row.set(at, 0)
}

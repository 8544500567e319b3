import { WatchCursor } from '../cursor.ts'
import { protocol } from '../protocol/protocol.ts'
import type { VersionToken } from '../token.ts'

/** Where a watch stands while its updates are being collected. Never goes back, and keeps the memo. */
export class Position {
  readonly #from: WatchCursor
  #token: VersionToken
  #frontier: bigint | undefined
  #settled = true
  #moved = false

  constructor(from: WatchCursor) {
    this.#from = from
    this.#token = from.token
    this.#frontier = from.revision
  }

  /** The highest revision delivered or bookmarked; undefined while there is none. */
  get frontier(): bigint | undefined {
    return this.#frontier
  }

  /** Whether a fold that was a state of the bucket when the watch began is one with everything up to here. */
  get settled(): boolean {
    return this.#settled
  }

  /** Whether it advanced, or became settled, since `committed`. */
  get moved(): boolean {
    return this.#moved
  }

  /** What a fold that applied everything so far stores. */
  get cursor(): WatchCursor {
    const { memo, token } = this.#from
    return this.#token === token ? this.#from : WatchCursor.fromToken(this.#token, memo)
  }

  /** An update with an unknown version moves nothing. */
  advance(token: VersionToken, revision: bigint | undefined): void {
    if (revision === undefined && token.isUnknown) return
    this.#settle(revision, false)
    this.#move(token, revision)
  }

  bookmark(cursor: WatchCursor): void {
    const { revision } = cursor
    const same = cursor.token.equals(this.#token)
    if (protocol.onBookmark({ frontier: this.#frontier, revision, same }) !== 'advance') return
    this.#settle(undefined, false)
    this.#move(cursor.token, revision)
  }

  /** Nothing lay beyond when the last of it was sent. */
  atEnd(): void {
    if (!this.#settled) this.#moved = true
    this.#settle(undefined, true)
  }

  committed(): void {
    this.#moved = false
  }

  #settle(delivered: bigint | undefined, atEnd: boolean): void {
    this.#settled = protocol.settles({ settled: this.#settled, frontier: this.#frontier, delivered, atEnd })
  }

  #move(token: VersionToken, revision: bigint | undefined): void {
    this.#token = token
    if (revision !== undefined) this.#frontier = revision
    this.#moved = true
  }
}

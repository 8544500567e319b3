import { Flusher } from '../apply/flusher.ts'
import type { WatchCursor } from '../cursor.ts'
import type { KvEntry } from '../entry.ts'
import { asSnapshotError, KvError, messageOf, SnapshotError } from '../errors.ts'
import type { WaitOptions } from '../source.ts'
import type { RangeOptions, SnapshotStore } from '../store.ts'
import { compareTokens } from '../token-order.ts'
import { VersionToken } from '../token.ts'
import { ChangeFeed } from './change-feed.ts'
import type { Change, ChangesOptions } from './changes.ts'
import type { FoldKeeper } from './fold-keeper.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FollowSettings } from './follow-settings.ts'
import type { Follower } from './follower.ts'
import { Gate } from './gate.ts'
import type { FollowOptions } from './options.ts'
import { OversizePolicy } from './oversize.ts'
import { StatusBoard } from './status-board.ts'
import type { FollowStatus } from './status.ts'
import { supervise } from './supervisor.ts'
import { Waiters } from './waiters.ts'
import { Watchdog } from './watchdog.ts'

/** The one implementation of Follower: reads go to the store in use, the rest to the parts. */
export class FollowHandle<S extends SnapshotStore, T> implements Follower<S> {
  readonly closed: Promise<void>
  readonly #parts: FoldParts<S, T>
  readonly #stop = new AbortController()
  /** Whether the fold is written no more. */
  #over = false
  #closing: Promise<void> | undefined

  constructor(keeper: FoldKeeper<S>, options: FollowOptions<S, T>, settings: FollowSettings) {
    const { signal } = options
    const board = new StatusBoard(() => keeper.figures, settings.staleAfterMs)
    this.#parts = {
      keeper,
      flusher: new Flusher(options, this.#stop.signal, (error) =>
        board.dispatch({ type: 'held', reason: error.code }, error),
      ),
      board,
      feed: new ChangeFeed(),
      waiters: new Waiters(),
      gate: new Gate(),
      oversize: new OversizePolicy(settings.oversize),
      onApplied: options.onApplied,
      bootstrap: options.bootstrap,
    }
    board.listen(() => this.#parts.waiters.poll())
    board.recovery = keeper.recovery
    board.dispatch({ type: 'opened' }, keeper.bootstrapError)
    const onAbort = (): void => this.#stop.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort)
    const watchdog = new Watchdog(board, settings.staleAfterMs)
    this.closed = supervise(this.#parts, settings, options.source, this.#stop.signal, watchdog)
      .then(
        () => this.#shutDown(),
        (error: unknown) => this.#fail(error),
      )
      .finally(() => {
        watchdog.stop()
        signal?.removeEventListener('abort', onAbort)
      })
    this.closed.catch(() => undefined)
  }

  get store(): S {
    return this.#parts.keeper.store
  }

  get status(): FollowStatus {
    return this.#parts.board.snapshot()
  }

  get cursor(): WatchCursor {
    return this.#parts.keeper.figures.cursor
  }

  get(key: string): KvEntry | undefined {
    return this.store.get(key)
  }

  getMany(keys: readonly string[]): (KvEntry | undefined)[] {
    return this.store.getMany(keys)
  }

  has(key: string): boolean {
    return this.store.has(key)
  }

  range(prefix: string, options?: RangeOptions): KvEntry[] {
    return this.store.range(prefix, options)
  }

  entries(prefix?: string, options?: RangeOptions): IterableIterator<KvEntry> {
    return this.store.entries(prefix, options)
  }

  keys(prefix?: string, options?: RangeOptions): IterableIterator<string> {
    return this.store.keys(prefix, options)
  }

  onStatus(listener: (status: FollowStatus) => void): () => void {
    return this.#parts.board.listen(listener)
  }

  caughtUp(options?: WaitOptions): Promise<void> {
    const { board, waiters } = this.#parts
    return waiters.add(() => board.state === 'live', 'the end of what existed', options)
  }

  async waitFor(revision: bigint | VersionToken, options?: WaitOptions): Promise<void> {
    const token = typeof revision === 'bigint' ? VersionToken.fromRevision(revision) : revision
    if (token.isUnknown) throw new TypeError('an unknown version cannot be waited for')
    const what = `revision ${token.revision ?? token.toHex()}`
    return this.#parts.waiters.add(() => (compareTokens(this.cursor.token, token) ?? -1) >= 0, what, options)
  }

  changes(options?: ChangesOptions): AsyncIterable<Change> {
    return this.#parts.feed.subscribe(options)
  }

  async exclusive<R>(fn: (store: S) => R | Promise<R>): Promise<R> {
    const { gate, keeper } = this.#parts
    const ran = await gate.run(async () =>
      // Between two flushes the fold is open, unless the last one gave up.
      this.#over || !keeper.isOpen ? undefined : { result: await fn(keeper.store) },
    )
    if (ran !== undefined) return ran.result
    await this.closed
    throw this.#closedError()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { board, gate, keeper } = this.#parts
    const wasOver = this.#over
    this.#stop.abort(new KvError('Closed', 'the follower is closed'))
    try {
      await this.closed
    } catch (error) {
      await gate.run(() => keeper.close()).catch(() => undefined)
      board.dispatch({ type: 'closed' })
      // An end from before this call was told through `closed`; this one was not.
      if (!wasOver) throw error
    }
  }

  async #shutDown(): Promise<void> {
    const { board, feed, gate, keeper, waiters } = this.#parts
    try {
      await gate.run(() => {
        this.#over = true
        return keeper.close()
      })
    } catch (error) {
      throw typed(error, this.cursor)
    } finally {
      board.dispatch({ type: 'closed' })
      waiters.end(this.#closedError())
      feed.end(undefined)
    }
  }

  /** The store stays open for reads until `close`. */
  async #fail(thrown: unknown): Promise<never> {
    const { board, feed, gate, keeper, waiters } = this.#parts
    const error = typed(thrown, this.cursor)
    await gate.run(async () => {
      this.#over = true
      try {
        if (keeper.isOpen) await keeper.store.sync()
      } catch {
        // What ended the follower says more.
      }
    })
    board.dispatch({ type: 'failed', reason: error.code }, error)
    waiters.end(error)
    feed.end(error)
    throw error
  }

  #closedError(): KvError {
    const { reason } = this.#stop.signal as { readonly reason: unknown }
    return new KvError('Closed', 'the follower was closed', {
      cursor: this.cursor,
      ...(this.#closing === undefined ? { cause: reason } : {}),
    })
  }
}

/** What ends a follower has a code, also where a store or a source of the caller threw something else. */
function typed(thrown: unknown, cursor: WatchCursor): KvError | SnapshotError {
  if (KvError.is(thrown) || SnapshotError.is(thrown)) return thrown
  return asSnapshotError(thrown, 'Backend', `the follower cannot go on: ${messageOf(thrown)}`, cursor)
}

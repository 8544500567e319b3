import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  bytesToHex,
  type KvUpdate,
  type KvWatcher,
  type WatchBatch,
  type WatchCursor,
  type WatchOptions,
  type WatchScope,
} from '@slip/kv-core'
import { within } from './within.ts'

const PATIENCE_MS = 15_000

/** An update in a form that compares and prints well. */
export interface PlainUpdate {
  readonly operation: string
  readonly key: string
  readonly version: string
  readonly value?: string
  readonly reason?: string
}

export function plainUpdate(update: KvUpdate): PlainUpdate {
  const { operation, key } = update
  const version = update.version.toHex()
  if (update.operation === 'put') return { operation, key, version, value: bytesToHex(update.value) }
  return { operation, key, version, ...(update.reason === undefined ? {} : { reason: update.reason }) }
}

/** One watch, pulled by hand; keeps all that was delivered. */
export class WatchSession {
  readonly updates: KvUpdate[] = []
  readonly batches: WatchBatch[] = []
  readonly #controller = new AbortController()
  readonly #iterator: AsyncIterator<WatchBatch>
  #pending: Promise<IteratorResult<WatchBatch>> | undefined

  constructor(watcher: KvWatcher, scope: WatchScope, options: Omit<WatchOptions, 'signal'> = {}) {
    const { signal } = this.#controller
    this.#iterator = watcher.watch(scope, { ...options, signal })[Symbol.asyncIterator]()
  }

  /** The next batch; a quiet source gives an empty one. */
  async next(): Promise<WatchBatch> {
    const result = await within(this.pull(), PATIENCE_MS, 'a batch of the watch')
    this.#pending = undefined
    assert.ok(result.done !== true, 'the watch goes on until it is aborted')
    this.batches.push(result.value)
    this.updates.push(...result.value.updates)
    return result.value
  }

  /** The pull under way, or a new one. */
  pull(): Promise<IteratorResult<WatchBatch>> {
    if (this.#pending === undefined) {
      this.#pending = this.#iterator.next()
      this.#pending.catch(() => {})
    }
    return this.#pending
  }

  /** Pulls until `done` holds; fails when it does not within a quarter of a minute. */
  async until(done: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (!done()) {
      assert.ok(
        performance.now() < deadline,
        `${what}: not within ${PATIENCE_MS} ms; got ${this.keys().join(' ')}`,
      )
      await this.next()
    }
  }

  /** Everything up to and including the batch that says caught up. */
  async caughtUp(): Promise<readonly KvUpdate[]> {
    await this.until(() => this.batches.some(({ caughtUp }) => caughtUp), 'caught up')
    return this.updates
  }

  /** Pulls until `count` updates came in all, and a moment more, so that one too many would show. */
  async receive(count: number): Promise<readonly KvUpdate[]> {
    await this.until(() => this.updates.length >= count, `${count} updates`)
    await this.linger(300)
    return this.updates
  }

  /** Goes on pulling for `ms`. */
  async linger(ms: number): Promise<void> {
    const end = performance.now() + ms
    for (;;) {
      const left = end - performance.now()
      if (left <= 0) return
      const pulled = await Promise.race([this.pull().then(() => true), sleep(left, false)])
      if (pulled) await this.next()
    }
  }

  /** Goes on pulling until `work` is done. */
  async pullWhile(work: Promise<unknown>): Promise<void> {
    const done = work.then(() => false)
    while (await Promise.race([this.pull().then(() => true), done])) await this.next()
  }

  keys(): string[] {
    return this.updates.map(({ key }) => key)
  }

  plain(): PlainUpdate[] {
    return this.updates.map(plainUpdate)
  }

  lastBookmark(): WatchCursor | undefined {
    return this.batches.findLast(({ bookmark }) => bookmark !== undefined)?.bookmark
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason)
  }

  async stop(): Promise<void> {
    this.abort(new Error('the case is over'))
    await within(this.pull(), PATIENCE_MS, 'the end of an aborted watch').catch(() => {})
    await this.#iterator.return?.().catch(() => {})
  }
}

/** The live keys with their revisions after `updates`. */
export function foldOf(updates: readonly KvUpdate[]): Map<string, bigint | undefined> {
  const live = new Map<string, bigint | undefined>()
  for (const update of updates) {
    live.delete(update.key)
    if (update.operation === 'put') live.set(update.key, update.version.revision)
  }
  return live
}

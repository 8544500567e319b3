import type { KvUpdate, WatchBatch } from '@slip/kv-core'
import type { Branch } from '../bucket/history.ts'
import type { SimBucket } from '../bucket/sim-bucket.ts'
import type { SimProcess } from '../world/sim-process.ts'
import type { Wire } from './wire.ts'

/** What a process was sent last, and of which history: the wire may send it again. */
export interface LastDelivery {
  readonly branch: Branch
  readonly updates: readonly KvUpdate[]
}

/** What the world sees of what a process is sent. */
export interface Deliveries {
  last: LastDelivery | undefined
  contact(): void
  delivered(revision: bigint): void
  /** A listing that began then was answered to its end. */
  listed(beganMs: number): void
}

export interface SessionStart {
  readonly client: SimProcess
  readonly signal: AbortSignal
  readonly after: bigint | undefined
  open(signal: AbortSignal): AsyncIterable<WatchBatch>
  /** Throws when the connection was lost. */
  mustBeConnected(): void
}

/** One watch over the wire. The iteration runs at the server; its batches come one call at a time, some before they are wanted. */
export class WireSession implements AsyncIterator<WatchBatch, void, undefined> {
  readonly #wire: Wire
  readonly #bucket: SimBucket
  readonly #start: SessionStart
  readonly #seen: Deliveries
  readonly #atServer = new AbortController()
  #iterator: AsyncIterator<WatchBatch> | undefined
  /** The history the watch began in: a bucket that is made anew in silence leaves it open. */
  #branch: Branch | undefined
  /** What was asked for, in order: the last of it is under way, or waits to be. */
  readonly #asked: Promise<IteratorResult<WatchBatch, void>>[] = []
  #first = true
  #silent = false
  #over = false

  constructor(wire: Wire, bucket: SimBucket, start: SessionStart, seen: Deliveries) {
    this.#wire = wire
    this.#bucket = bucket
    this.#start = start
    this.#seen = seen
    start.client.onExit(() => this.#hangUp())
    start.signal.addEventListener('abort', () => this.#hangUp(), { once: true })
  }

  next(): Promise<IteratorResult<WatchBatch, void>> {
    while (this.#asked.length <= this.#wire.ahead) {
      const before = this.#asked.at(-1)
      const result = before === undefined ? this.#fetch() : before.then(() => this.#fetch())
      result.catch(() => undefined)
      this.#asked.push(result)
    }
    return this.#asked.shift()!
  }

  async return(): Promise<IteratorResult<WatchBatch, void>> {
    this.#over = true
    this.#hangUp()
    return { done: true, value: undefined }
  }

  async #fetch(): Promise<IteratorResult<WatchBatch, void>> {
    if (this.#over) return { done: true, value: undefined }
    const again = this.#again()
    this.#first = false
    let receivedAtMs: number | undefined
    const received = (): void => {
      receivedAtMs = performance.now()
      this.#seen.contact()
    }
    if (again !== undefined) {
      await this.#wire.call(this.#start.client, {
        what: 'again',
        signal: this.#start.signal,
        serve: async () => undefined,
        answered: received,
      })
      return { done: false, value: { ...again, receivedAtMs } }
    }
    this.#silent ||= this.#wire.chance('silence')
    if (this.#silent) await new Promise<never>(() => undefined)
    try {
      const result = await this.#ask(received)
      return result.done === true ? result : { done: false, value: { ...result.value, receivedAtMs } }
    } catch (error) {
      this.#over = true
      this.#hangUp()
      throw error
    }
  }

  async #ask(received: () => void): Promise<IteratorResult<WatchBatch, void>> {
    if (this.#wire.chance('breaks')) {
      const error = this.#wire.failure()
      await this.#wire.call(this.#start.client, {
        what: 'break',
        signal: this.#start.signal,
        serve: async () => undefined,
      })
      throw error
    }
    const { result } = await this.#wire.call(this.#start.client, {
      what: 'next',
      signal: this.#start.signal,
      serve: () => this.#serve(),
      answered: ({ branch, result }) => this.#arrived(branch, result, received),
    })
    return result.done === true ? { done: true, value: undefined } : result
  }

  async #serve(): Promise<{ branch: Branch; result: IteratorResult<WatchBatch> }> {
    this.#start.mustBeConnected()
    this.#branch ??= this.#bucket.history.current
    this.#iterator ??= this.#start.open(this.#atServer.signal)[Symbol.asyncIterator]()
    const result = await this.#iterator.next()
    if (result.done !== true) this.#bucket.passed(result.value.updates, this.#branch)
    return { branch: this.#branch, result }
  }

  #arrived(branch: Branch, result: IteratorResult<WatchBatch>, received: () => void): void {
    if (result.done === true) return
    const { updates, bookmark } = result.value
    received()
    const newest = bookmark?.revision ?? updates.at(-1)?.version.revision
    if (newest !== undefined) this.#seen.delivered(newest)
    if (updates.length > 0) this.#seen.last = { branch, updates }
  }

  /** What was delivered before, as the next batch of this session; undefined when the wire behaves. */
  #again(): WatchBatch | undefined {
    const { last } = this.#seen
    if (!this.#wire.chance(this.#first ? 'stale' : 'duplicates') || last === undefined) return undefined
    if (last.branch !== this.#bucket.history.current) return undefined
    const { after } = this.#start
    const newest = last.updates.at(-1)!.version.revision
    if (this.#first && (after === undefined || newest === undefined || newest > after)) return undefined
    return { updates: last.updates, caughtUp: false }
  }

  #hangUp(): void {
    const iterator = this.#iterator
    this.#wire.tell('hang up', () => {
      this.#atServer.abort(new Error('the client is gone'))
      void iterator?.return?.().catch(() => undefined)
    })
  }
}

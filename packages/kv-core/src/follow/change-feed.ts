import type { KvUpdate } from '../entry.ts'
import { KvError } from '../errors.ts'
import type { FoldReader } from '../store.ts'
import type { ApplyPhase } from '../watch-applied.ts'
import type { Change, ChangesOptions } from './changes.ts'

/** Hands committed updates to bounded subscriptions, without ever waiting for one. */
export class ChangeFeed {
  readonly #subscriptions = new Set<ChangeSubscription>()
  #ended: { readonly error: unknown } | undefined
  #isHolding = false

  /** A reader that begins while updates are held has no part in those: it ends when they are in the fold. */
  subscribe(options: ChangesOptions = {}): AsyncIterableIterator<Change> {
    const { buffer = 10_000 } = options
    if (!(buffer >= 1)) throw new RangeError(`buffer must be 1 or more, not ${buffer}`)
    const subscription = new ChangeSubscription({ ...options, buffer }, (done) =>
      this.#subscriptions.delete(done),
    )
    if (this.#ended !== undefined) subscription.end(this.#ended.error)
    if (this.#isHolding) subscription.missed()
    // A signal that was aborted before has ended it already.
    if (!subscription.ended) this.#subscriptions.add(subscription)
    return subscription
  }

  publish(updates: readonly KvUpdate[], phase: ApplyPhase): void {
    for (const subscription of this.#subscriptions) {
      subscription.offer(updates, phase)
      subscription.release()
    }
  }

  /** Keeps updates of a fold that readers do not see yet. */
  hold(updates: readonly KvUpdate[], phase: ApplyPhase): void {
    if (updates.length > 0) this.#isHolding = true
    for (const subscription of this.#subscriptions) subscription.offer(updates, phase)
  }

  /** The held updates are in the fold. */
  release(): void {
    this.#isHolding = false
    for (const subscription of this.#subscriptions) subscription.release()
  }

  /** All of the held updates are in the fold, or none is: that shows in what it holds now. */
  settle(fold: FoldReader): void {
    this.#isHolding = false
    for (const subscription of this.#subscriptions) subscription.settle(fold)
  }

  /** The held updates never happened. */
  drop(): void {
    this.#isHolding = false
    for (const subscription of this.#subscriptions) subscription.drop()
  }

  /** Subscriptions end after what they hold; with an error when there is one. */
  end(error: unknown): void {
    this.#ended = { error }
    for (const subscription of this.#subscriptions) subscription.end(error)
  }
}

interface Reader {
  resolve(result: IteratorResult<Change>): void
  reject(error: unknown): void
}

class ChangeSubscription implements AsyncIterableIterator<Change> {
  readonly #prefix: string
  readonly #buffer: number
  readonly #signal: AbortSignal | undefined
  readonly #leave: (subscription: ChangeSubscription) => void
  readonly #readers: Reader[] = []
  #queue: Change[] = []
  #read = 0
  #held: Change[] = []
  /** Why what is held is not all of it; undefined while it is. */
  #lacks: string | undefined
  #over: { readonly error: unknown } | undefined

  constructor(
    options: ChangesOptions & { readonly buffer: number },
    leave: (subscription: ChangeSubscription) => void,
  ) {
    this.#prefix = options.prefix ?? ''
    this.#buffer = options.buffer
    this.#signal = options.signal
    this.#leave = leave
    if (this.#signal?.aborted === true) this.#onAbort()
    else this.#signal?.addEventListener('abort', this.#onAbort)
  }

  get ended(): boolean {
    return this.#over !== undefined
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Change>> {
    const change = this.#queue[this.#read]
    if (change !== undefined) {
      this.#read++
      if (this.#read === this.#queue.length || this.#read >= 1024) {
        this.#queue = this.#queue.slice(this.#read)
        this.#read = 0
      }
      return Promise.resolve({ done: false, value: change })
    }
    if (this.#over !== undefined) {
      const { error } = this.#over
      this.#over = { error: undefined }
      return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error)
    }
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }))
  }

  return(): Promise<IteratorResult<Change>> {
    this.#forget()
    this.end(undefined)
    return Promise.resolve({ done: true, value: undefined })
  }

  offer(updates: readonly KvUpdate[], phase: ApplyPhase): void {
    for (const update of updates) {
      if (!update.key.startsWith(this.#prefix)) continue
      if (this.#lacks === undefined && this.#waiting + this.#held.length >= this.#buffer)
        this.#lacks = `a reader of changes fell more than ${this.#buffer} behind`
      if (this.#lacks !== undefined) {
        this.#held = []
        return
      }
      this.#held.push({ ...update, phase })
    }
  }

  /** There were changes before it began that will be in the fold together with those that follow. */
  missed(): void {
    this.#lacks = 'the fold was made anew, which had begun before its reader of changes did'
  }

  release(): void {
    if (this.#lacks !== undefined) {
      this.#forget()
      this.end(new KvError('ChangesLagged', this.#lacks))
      return
    }
    const held = this.#held
    this.#held = []
    for (const change of held) {
      const reader = this.#readers.shift()
      if (reader === undefined) this.#queue.push(change)
      else reader.resolve({ done: false, value: change })
    }
  }

  /** To lag for nothing is better than to miss something. */
  settle(fold: FoldReader): void {
    if (this.#lacks !== undefined || this.#agrees(fold)) this.release()
    else this.drop()
  }

  drop(): void {
    this.#held = []
    this.#lacks = undefined
  }

  end(error: unknown): void {
    if (this.#over !== undefined) return
    this.#over = { error }
    this.#held = []
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#leave(this)
    const [first, ...others] = this.#readers.splice(0)
    if (first === undefined) return
    this.#over = { error: undefined }
    if (error === undefined) first.resolve({ done: true, value: undefined })
    else first.reject(error)
    for (const reader of others) reader.resolve({ done: true, value: undefined })
  }

  get #waiting(): number {
    return this.#queue.length - this.#read
  }

  /** Whether a fold holds the last that is held of each key. */
  #agrees(fold: FoldReader): boolean {
    const last = new Map(this.#held.map((change) => [change.key, change]))
    for (const [key, change] of last) {
      if (change.operation !== 'put') {
        if (fold.has(key)) return false
      } else if (fold.get(key)?.version.equals(change.version) !== true) return false
    }
    return true
  }

  #forget(): void {
    this.#queue = []
    this.#read = 0
  }

  /** A reader that was told to stop gets nothing more, not even what waits for it. */
  readonly #onAbort = (): void => {
    this.#forget()
    this.end(this.#signal?.reason)
  }
}

import { Slices } from '@slip/kv-core'

import { orAbort } from '../abort.ts'

/**
 * Runs `work` over `inputs` with up to `window` unfinished or unread at a time, and gives the results
 * in order.
 *
 * The client writes to its socket whenever the microtask queue gets to it, so work that shall travel
 * together is started without an await in between: synchronous inputs in one go, asynchronous ones
 * gathered for a turn of the event loop, and a refill when a quarter of the window is free.
 */
export async function* pipelined<I, O>(
  inputs: Iterable<I> | AsyncIterable<I>,
  work: (input: I) => Promise<O>,
  options: { readonly window: number; readonly signal: AbortSignal | undefined },
): AsyncGenerator<O, void, undefined> {
  options.signal?.throwIfAborted()
  const pipeline = new Pipeline(work, options.window)
  const pumping = Symbol.iterator in inputs ? pipeline.pump(inputs) : pipeline.pumpGathered(inputs)
  pumping.catch(() => undefined)
  try {
    for (;;) {
      const head = pipeline.head
      if (head !== undefined) {
        // oxlint-disable-next-line no-await-in-loop -- results are given in order
        const result = await orAbort(head, options.signal)
        pipeline.taken()
        yield result
        // oxlint-disable-next-line no-await-in-loop -- this is the wait for an input
      } else if (!(await orAbort(pipeline.arrival(), options.signal))) break
    }
    await pumping
  } finally {
    pipeline.stop()
  }
}

const BURST = 256

class Pipeline<I, O> {
  readonly #work: (input: I) => Promise<O>
  readonly #window: number
  #queue: Promise<O>[] = []
  #first = 0
  #gathered: I[] = []
  #state: 'running' | 'done' | 'stopped' = 'running'
  #arrived: (() => void) | undefined
  #room: (() => void) | undefined

  constructor(work: (input: I) => Promise<O>, window: number) {
    this.#work = work
    this.#window = window
  }

  /** Starts work until the input ends, fails or `stop`. */
  async pump(inputs: Iterable<I>): Promise<void> {
    const slices = new Slices('nats.bulk')
    try {
      for (const input of inputs) {
        if (this.#full) {
          slices.end()
          // oxlint-disable-next-line no-await-in-loop -- this is the wait for room
          await this.#hasRoom()
          slices.begin()
        }
        if (this.#state === 'stopped') return
        this.#start(input)
        // oxlint-disable-next-line no-await-in-loop
        if (slices.due()) await slices.pause()
      }
    } finally {
      slices.end()
      this.#inputEnded()
    }
  }

  /** The same for inputs that come one by one. */
  async pumpGathered(inputs: AsyncIterable<I>): Promise<void> {
    try {
      for await (const input of inputs) {
        if (this.#full) {
          this.#startGathered()
          await this.#hasRoom()
        }
        if (this.#state === 'stopped') return
        if (this.#gathered.push(input) === 1) setImmediate(() => this.#startGathered())
        if (this.#gathered.length >= BURST) this.#startGathered()
      }
    } finally {
      this.#startGathered()
      this.#inputEnded()
    }
  }

  /** The oldest result that was not taken. */
  get head(): Promise<O> | undefined {
    return this.#queue[this.#first]
  }

  taken(): void {
    this.#first++
    if (this.#first * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#first)
      this.#first = 0
    }
    if (this.#length <= this.#window * 0.75) this.#makeRoom()
  }

  /** Waits for a `head`; false when none will come. */
  async arrival(): Promise<boolean> {
    if (this.#state === 'running') await new Promise<void>((resolve) => (this.#arrived = resolve))
    return this.head !== undefined
  }

  stop(): void {
    this.#state = 'stopped'
    this.#gathered = []
    this.#makeRoom()
  }

  get #length(): number {
    return this.#queue.length - this.#first + this.#gathered.length
  }

  get #full(): boolean {
    return this.#length >= this.#window
  }

  #start(input: I): void {
    const result = this.#work(input)
    result.catch(() => undefined)
    this.#queue.push(result)
    this.#arrived?.()
    this.#arrived = undefined
  }

  #startGathered(): void {
    for (const input of this.#gathered.splice(0)) this.#start(input)
  }

  async #hasRoom(): Promise<void> {
    if (this.#full && this.#state === 'running') await new Promise<void>((resolve) => (this.#room = resolve))
  }

  #makeRoom(): void {
    this.#room?.()
    this.#room = undefined
  }

  #inputEnded(): void {
    if (this.#state === 'running') this.#state = 'done'
    this.#arrived?.()
    this.#arrived = undefined
  }
}

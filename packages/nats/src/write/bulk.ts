import { Slices } from '@slip/kv-core'

import { orAbort } from '../abort.ts'

/**
 * Runs `work` over `inputs` with up to `window` unfinished or unread at a time, and gives the results
 * in order. A refill waits until a quarter of the window is free, so that sends go out together.
 */
export async function* pipelined<I, O>(
  inputs: Iterable<I> | AsyncIterable<I>,
  work: (input: I) => Promise<O>,
  options: { readonly window: number; readonly signal: AbortSignal | undefined },
): AsyncGenerator<O, void, undefined> {
  const pipeline = new Pipeline(inputs, work, options.window)
  const pumping = pipeline.pump()
  try {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- results are given in order
      const next = await orAbort(pipeline.next(), options.signal)
      if (next === undefined) break
      yield next.result
    }
    await pumping
  } finally {
    pipeline.stop()
    pumping.catch(() => undefined)
  }
}

class Pipeline<I, O> {
  readonly #inputs: Iterable<I> | AsyncIterable<I>
  readonly #work: (input: I) => Promise<O>
  readonly #window: number
  #queue: Promise<O>[] = []
  #head = 0
  #state: 'running' | 'done' | 'stopped' = 'running'
  #arrival: (() => void) | undefined
  #room: (() => void) | undefined

  constructor(inputs: Iterable<I> | AsyncIterable<I>, work: (input: I) => Promise<O>, window: number) {
    this.#inputs = inputs
    this.#work = work
    this.#window = window
  }

  /** Starts work until the input ends, fails or `stop`. */
  async pump(): Promise<void> {
    const slices = new Slices('nats.bulk')
    try {
      for await (const input of this.#inputs) {
        if (this.#length >= this.#window) {
          slices.end()
          await new Promise<void>((resolve) => (this.#room = resolve))
          slices.begin()
        }
        if (this.#state === 'stopped') return
        const result = this.#work(input)
        result.catch(() => undefined)
        this.#queue.push(result)
        this.#arrive()
        if (slices.due()) await slices.pause()
      }
    } finally {
      if (this.#state === 'running') this.#state = 'done'
      this.#arrive()
      slices.end()
    }
  }

  /** The next result; undefined after the last. */
  async next(): Promise<{ readonly result: O } | undefined> {
    while (this.#length === 0) {
      if (this.#state !== 'running') return undefined
      // oxlint-disable-next-line no-await-in-loop -- this is the wait for an input
      await new Promise<void>((resolve) => (this.#arrival = resolve))
    }
    const result = await this.#queue[this.#head]!
    this.#head++
    if (this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    if (this.#length <= this.#window * 0.75) this.#makeRoom()
    return { result }
  }

  stop(): void {
    this.#state = 'stopped'
    this.#makeRoom()
  }

  get #length(): number {
    return this.#queue.length - this.#head
  }

  #arrive(): void {
    this.#arrival?.()
    this.#arrival = undefined
  }

  #makeRoom(): void {
    this.#room?.()
    this.#room = undefined
  }
}

/** Lets one task run at a time, in the order of arrival. */
export class Gate {
  #busy = false
  readonly #queue: (() => void)[] = []

  async run<R>(task: () => R | Promise<R>): Promise<R> {
    if (this.#busy) await new Promise<void>((resolve) => this.#queue.push(resolve))
    this.#busy = true
    try {
      return await task()
    } finally {
      const next = this.#queue.shift()
      // Handing over while still busy keeps a newcomer from overtaking.
      if (next === undefined) this.#busy = false
      else next()
    }
  }
}

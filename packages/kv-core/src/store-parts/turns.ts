/** Runs one piece of work at a time, in the order asked for. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** Settles as `work` does; a rejection does not keep later work from running. */
  async take<T>(work: () => Promise<T> | T): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => undefined)
    return turn
  }
}

/** Tells once when `start` was not called again in time. */
export class Overdue {
  readonly #afterMs: number
  readonly #tell: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(afterMs: number, tell: () => void) {
    this.#afterMs = afterMs
    this.#tell = tell
  }

  start(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#tell, this.#afterMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

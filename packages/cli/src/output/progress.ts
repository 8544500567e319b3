const FIRST_AFTER_MS = 1_000
const EVERY_MS = 200

/** A line on stderr that is rewritten in place: on a terminal only, after a second, never with `--quiet`. */
export class Progress {
  readonly #shown: boolean
  readonly #startedAt: number = performance.now()
  #lastAt = 0
  #drawn = false

  constructor(quiet: boolean) {
    this.#shown = !quiet && process.stderr.isTTY
  }

  /** Call as often as you like; `text` is asked for only when it will be drawn. */
  update(text: () => string): void {
    const now = performance.now()
    if (!this.#shown || now - this.#startedAt < FIRST_AFTER_MS || now - this.#lastAt < EVERY_MS) return
    this.#lastAt = now
    this.#drawn = true
    process.stderr.write(`\r\u001B[K${text()}`)
  }

  clear(): void {
    if (this.#drawn) process.stderr.write('\r\u001B[K')
    this.#drawn = false
  }
}

/** Wakes one waiting loop. A ring while nobody waits is kept for the next wait. */
export class Bell {
  #waiting: (() => void) | undefined
  #rung = false

  /** Usable as a callback. */
  readonly ring = (): void => {
    const waiting = this.#waiting
    if (waiting === undefined) this.#rung = true
    else {
      this.#waiting = undefined
      waiting()
    }
  }

  wait(): Promise<void> {
    if (this.#rung) {
      this.#rung = false
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      this.#waiting = resolve
    })
  }
}

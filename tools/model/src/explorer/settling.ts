const FIRST_CAPACITY = 1 << 14

/** The steps the system itself can take, kept to find states from which it never comes to rest. */
export class Settling {
  #targets = new Int32Array(FIRST_CAPACITY)
  #starts = new Int32Array(FIRST_CAPACITY)
  #edges = 0
  #states = 0

  /** Begins the steps of the next state. */
  begin(): void {
    if (this.#states + 2 > this.#starts.length) this.#starts = doubled(this.#starts)
    this.#starts[this.#states++] = this.#edges
    this.#starts[this.#states] = this.#edges
  }

  edge(target: number): void {
    if (this.#edges === this.#targets.length) this.#targets = doubled(this.#targets)
    this.#targets[this.#edges++] = target
    this.#starts[this.#states] = this.#edges
  }

  /** The first state from which no state at rest can be reached; undefined when there is none. */
  restless(): number | undefined {
    const settled = new Uint8Array(this.#states)
    for (let changed = true; changed;) {
      changed = false
      for (let state = this.#states - 1; state >= 0; state--)
        if (settled[state] === 0 && this.#isSettled(state, settled)) {
          settled[state] = 1
          changed = true
        }
    }
    const found = settled.indexOf(0)
    return found < 0 ? undefined : found
  }

  #isSettled(state: number, settled: Uint8Array): boolean {
    const end = this.#starts[state + 1]!
    const begin = this.#starts[state]!
    if (begin === end) return true
    for (let edge = begin; edge < end; edge++) if (settled[this.#targets[edge]!] === 1) return true
    return false
  }
}

function doubled(from: Int32Array): Int32Array<ArrayBuffer> {
  const into = new Int32Array(from.length * 2)
  into.set(from)
  return into
}

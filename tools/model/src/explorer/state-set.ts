const FIRST_CAPACITY = 1 << 12

/** Packed states, numbered in the order they were first seen, with the step that led to each. */
export class StateSet {
  readonly #width: number
  #words: Int32Array
  #table: Int32Array
  #parents: Int32Array
  #actions: Uint8Array
  #size = 0

  constructor(width: number) {
    this.#width = width
    this.#words = new Int32Array(FIRST_CAPACITY * width)
    this.#parents = new Int32Array(FIRST_CAPACITY)
    this.#actions = new Uint8Array(FIRST_CAPACITY)
    this.#table = new Int32Array(FIRST_CAPACITY * 2)
  }

  get size(): number {
    return this.#size
  }

  /** The number of a state; adds it when it is new, which `size` shows. */
  add(state: Int32Array, parent: number, action: number): number {
    const mask = this.#table.length - 1
    let slot = hashOf(state) & mask
    for (;;) {
      const found = this.#table[slot]! - 1
      if (found < 0) break
      if (this.#holds(found, state)) return found
      slot = (slot + 1) & mask
    }
    const index = this.#size++
    if (index === this.#parents.length) this.#grow()
    // The table may be another one after growing.
    this.#table[this.#parents.length * 2 === mask + 1 ? slot : this.#freeSlot(state)] = index + 1
    const at = index * this.#width
    for (let word = 0; word < this.#width; word++) this.#words[at + word] = state[word]!
    this.#parents[index] = parent
    this.#actions[index] = action
    return index
  }

  load(index: number, into: Int32Array): void {
    const at = index * this.#width
    for (let word = 0; word < this.#width; word++) into[word] = this.#words[at + word]!
  }

  /** Of the first step that led here; negative for the first state. */
  parentOf(index: number): number {
    return this.#parents[index]!
  }

  actionOf(index: number): number {
    return this.#actions[index]!
  }

  #holds(index: number, state: Int32Array): boolean {
    const at = index * this.#width
    for (let word = 0; word < this.#width; word++) if (this.#words[at + word] !== state[word]) return false
    return true
  }

  #freeSlot(state: Int32Array): number {
    const mask = this.#table.length - 1
    let slot = hashOf(state) & mask
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask
    return slot
  }

  #grow(): void {
    const capacity = this.#parents.length * 2
    this.#words = resized(this.#words, new Int32Array(capacity * this.#width))
    this.#parents = resized(this.#parents, new Int32Array(capacity))
    this.#actions = resized(this.#actions, new Uint8Array(capacity))
    this.#table = new Int32Array(capacity * 2)
    const state = new Int32Array(this.#width)
    for (let index = 0; index < capacity / 2; index++) {
      this.load(index, state)
      this.#table[this.#freeSlot(state)] = index + 1
    }
  }
}

function resized<A extends Int32Array | Uint8Array>(from: A, into: A): A {
  into.set(from)
  return into
}

function hashOf(state: Int32Array): number {
  let hash = 0x9e3779b9 | 0
  for (let word = 0; word < state.length; word++) {
    hash = Math.imul(hash ^ state[word]!, 0x85ebca6b)
    hash ^= hash >>> 13
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35)
  return hash ^ (hash >>> 15)
}

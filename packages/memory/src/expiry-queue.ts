import type { Message } from './message.ts'

interface Expiring extends Message {
  readonly expiresAtMs: number
}

/** Messages with a time to live, soonest first: a binary heap. */
export class ExpiryQueue {
  #heap: Expiring[] = []
  readonly #isHeld: (message: Message) => boolean
  #limit = 64

  constructor(isHeld: (message: Message) => boolean) {
    this.#isHeld = isHeld
  }

  add(message: Message): void {
    if (message.expiresAtMs === undefined) return
    if (this.#heap.length >= this.#limit) this.#forgetRemoved()
    this.#heap.push(message as Expiring)
    this.#siftUp(this.#heap.length - 1)
  }

  /** The soonest message still held. */
  peek(): Expiring | undefined {
    while (this.#heap[0] !== undefined && !this.#isHeld(this.#heap[0])) this.pop()
    return this.#heap[0]
  }

  pop(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#siftDown(0)
  }

  /** A lease renewed every second leaves a superseded message each time; the queue must not grow with them. */
  #forgetRemoved(): void {
    this.#heap = this.#heap.filter((message) => this.#isHeld(message))
    this.#heap.sort((a, b) => a.expiresAtMs - b.expiresAtMs)
    this.#limit = Math.max(64, 2 * this.#heap.length)
  }

  #siftUp(start: number): void {
    const heap = this.#heap
    for (let i = start; i > 0;) {
      const parent = (i - 1) >> 1
      if (heap[parent]!.expiresAtMs <= heap[i]!.expiresAtMs) return
      swap(heap, i, parent)
      i = parent
    }
  }

  #siftDown(start: number): void {
    const heap = this.#heap
    for (let i = start; ;) {
      let least = i
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < heap.length && heap[child]!.expiresAtMs < heap[least]!.expiresAtMs) least = child
      if (least === i) return
      swap(heap, i, least)
      i = least
    }
  }
}

function swap(heap: Expiring[], a: number, b: number): void {
  const message = heap[a]!
  heap[a] = heap[b]!
  heap[b] = message
}

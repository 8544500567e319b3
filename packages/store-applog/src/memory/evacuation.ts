import { recordLengthOf } from '../record.ts'
import type { Arena, Segment } from './arena.ts'
import type { KeyDirectory } from './key-directory.ts'

/** Garbage is left alone below this many quarters of a segment. */
const LEAST_GARBAGE_QUARTERS = 2
const CLOCK_EVERY = 32

/**
 * Gives garbage back: moves what lives in the emptiest segment to the current one, then drops the
 * segment. Starts when more than half of the arena is garbage, ends at a third.
 */
export class Evacuation {
  readonly #arena: Arena
  readonly #directory: KeyDirectory
  #running = false
  #victim: Segment | undefined
  #at = 0

  constructor(arena: Arena, directory: KeyDirectory) {
    this.#arena = arena
    this.#directory = directory
  }

  get due(): boolean {
    const { usedBytes, liveBytes, segmentBytes } = this.#arena
    const garbage = usedBytes - liveBytes
    if (garbage * 4 < segmentBytes * LEAST_GARBAGE_QUARTERS) return false
    return this.#running ? garbage * 3 > usedBytes : garbage * 2 > usedBytes
  }

  /** Goes on until `deadline` (of `performance.now()`) or until nothing is due. */
  runUntil(deadline: number): void {
    while (this.due) {
      this.#running = true
      this.#moveSome()
      if (performance.now() >= deadline) return
    }
    this.#running = false
  }

  #moveSome(): void {
    if (this.#victim === undefined || !this.#arena.holds(this.#victim)) {
      this.#victim = this.#arena.emptiest()
      this.#at = 0
    }
    const victim = this.#victim
    if (victim === undefined) return
    for (let i = 0; i < CLOCK_EVERY && this.#at < victim.used; i++) {
      const length = recordLengthOf(victim.bytes, this.#at)
      this.#moveRecord(victim, this.#at, length)
      this.#at += length
    }
    if (this.#at >= victim.used) this.#victim = undefined
  }

  #moveRecord(victim: Segment, at: number, length: number): void {
    const directory = this.#directory
    const id = directory.findRecord(directory.hashOf(victim.bytes, at), victim.bytes, at)
    if (id === -1 || directory.records.addressOf(id) !== victim.base + at) return
    directory.records.setAddress(id, this.#arena.append(victim.bytes, at, length))
    this.#arena.supersede(victim.base + at, length)
  }
}

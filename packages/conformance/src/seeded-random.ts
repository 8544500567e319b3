import { randomInt } from 'node:crypto'

/** The suite's seed, else the environment's `SLIP_SEED`, else a fresh one. */
export function chooseSeed(wanted: number | undefined): number {
  return wanted ?? seedFromEnvironment() ?? randomInt(1, 2 ** 31)
}

function seedFromEnvironment(): number | undefined {
  const text = process.env['SLIP_SEED']
  if (text === undefined || text === '') return undefined
  const seed = Number(text)
  if (!Number.isSafeInteger(seed)) throw new RangeError(`SLIP_SEED is not a whole number: ${text}`)
  return seed
}

/** The same numbers for the same seed (mulberry32). */
export class SeededRandom {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 up to, not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 up to, not including, `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256))
  }
}

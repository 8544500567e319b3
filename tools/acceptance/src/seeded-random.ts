/** A small seeded generator (mulberry32): the same seed gives the same run. */
export class SeededRandom {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 0 inclusive to 1 exclusive. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    return Math.floor(this.next() * below)
  }
}

/** The seed of this run: `SLIP_SEED`, or a fresh one. Tests print it. */
export function runSeed(): number {
  const given = process.env['SLIP_SEED']
  return given === undefined ? (Date.now() ^ (process.pid << 8)) >>> 0 : Number(given) >>> 0
}

/** A count from the environment, so that CI and a soak run the same code. */
export function countFrom(variable: string, otherwise: number): number {
  const given = process.env[variable]
  return given === undefined ? otherwise : Number(given)
}

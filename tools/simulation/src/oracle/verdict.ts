import type { World } from '../world/world.ts'

/** A promise that was not kept. */
export interface Violation {
  /** Its number among the sixteen. */
  readonly promise: number
  readonly what: string
  readonly atMs: number
}

/** Collects what the checks find; the first finding ends a simulation. Also counts what happened at all. */
export class Verdict {
  violation: Violation | undefined
  readonly counts: Map<string, number> = new Map()
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  violated(promise: number, what: string): void {
    this.violation ??= { promise, what, atMs: Math.round(this.#world.nowMs) }
    this.#world.trace.note(`VIOLATION of promise ${promise}: ${what}`)
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by)
  }
}

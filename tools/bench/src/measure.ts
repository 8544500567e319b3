import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { SliceMessage } from '@slip/kv-core'

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export async function timed(work: () => unknown): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}

/** Medians of several runs of each, taken in turns so that a noisy moment hits all of them. */
export async function inTurns<K extends string>(
  runs: number,
  work: Readonly<Record<K, () => Promise<number> | number>>,
): Promise<Record<K, number>> {
  const names = Object.keys(work) as K[]
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>
  for (let run = 0; run < runs; run++) for (const name of names) times[name].push(await work[name]())
  return Object.fromEntries(names.map((name) => [name, median(times[name])])) as Record<K, number>
}

export interface Stalls {
  readonly longestSliceMs: number
  readonly slices: number
  /** What the event loop was late, in milliseconds. */
  readonly p99Ms: number
}

/** Runs `work` and says how long it held the event loop: by its own slices, and as a timer saw it. */
export async function stallsOf(work: () => Promise<unknown>): Promise<Stalls> {
  let longestSliceMs = 0
  let slices = 0
  const onSlice = (message: unknown): void => {
    slices++
    longestSliceMs = Math.max(longestSliceMs, (message as SliceMessage).ms)
  }
  const delay = monitorEventLoopDelay({ resolution: 1 })
  subscribe('slip:slice', onSlice)
  delay.enable()
  try {
    await work()
  } finally {
    delay.disable()
    unsubscribe('slip:slice', onSlice)
  }
  return { longestSliceMs, slices, p99Ms: delay.percentile(99) / 1e6 }
}

/** The same measurement over a process that does nothing: what this machine itself adds. */
export async function controlStalls(ms: number): Promise<Stalls> {
  return await stallsOf(async () => await new Promise((resolve) => setTimeout(resolve, ms)))
}

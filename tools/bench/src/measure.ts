import { openSync, readSync } from 'node:fs'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { monitorEventLoopDelay, performance, PerformanceObserver } from 'node:perf_hooks'
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
  /** The longest slice of synchronous work of ours, by the clock. */
  readonly longestSliceMs: number
  /** The longest without what it waited for a processor and collected garbage. */
  readonly longestWorkMs: number
  readonly slices: number
  /** What the event loop was late, in milliseconds. */
  readonly p99Ms: number
}

interface Slice {
  readonly from: number
  readonly to: number
  readonly waitedMs: number
}

/** Runs `work` and says how long it held the event loop: by its own slices, and as a timer saw it. */
export async function stallsOf(work: () => Promise<unknown>): Promise<Stalls> {
  const slices: Slice[] = []
  const collections: { readonly from: number; readonly to: number }[] = []
  const waited = processorWait()
  let waitedBefore = 0
  const onStart = (): void => {
    waitedBefore = waited()
  }
  const onSlice = (message: unknown): void => {
    const to = performance.now()
    slices.push({ from: to - (message as SliceMessage).ms, to, waitedMs: waited() - waitedBefore })
  }
  const observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries())
      collections.push({ from: startTime, to: startTime + duration })
  })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  observer.observe({ entryTypes: ['gc'] })
  subscribe('slip:slice:start', onStart)
  subscribe('slip:slice', onSlice)
  delay.enable()
  try {
    await work()
  } finally {
    delay.disable()
    unsubscribe('slip:slice:start', onStart)
    unsubscribe('slip:slice', onSlice)
    // Collections are told in a later turn.
    await new Promise((resolve) => setTimeout(resolve, 20))
    observer.disconnect()
  }
  const worked = slices.map(({ from, to, waitedMs }) => {
    let other = waitedMs
    for (const gc of collections) other += Math.max(0, Math.min(gc.to, to) - Math.max(gc.from, from))
    return to - from - other
  })
  return {
    longestSliceMs: slices.reduce((most, { from, to }) => Math.max(most, to - from), 0),
    longestWorkMs: worked.reduce((most, ms) => Math.max(most, ms), 0),
    slices: slices.length,
    p99Ms: delay.percentile(99) / 1e6,
  }
}

/**
 * How long this thread was ready to run and had no processor, in milliseconds: Linux counts it. Zero
 * on other systems, where a slice is only known by the clock.
 */
function processorWait(): () => number {
  try {
    const file = openSync('/proc/thread-self/schedstat', 'r')
    const text = Buffer.alloc(96)
    return () => {
      const length = readSync(file, text, 0, text.length, 0)
      return Number(text.toString('latin1', 0, length).split(' ')[1]) / 1e6
    }
  } catch {
    return () => 0
  }
}

/** How a row says it. */
export function saidStalls({ longestSliceMs, longestWorkMs, p99Ms }: Stalls): string {
  return `longest slice ${longestSliceMs.toFixed(1)} ms by the clock, ${longestWorkMs.toFixed(1)} ms of work; event-loop delay p99 ${p99Ms.toFixed(1)} ms`
}

/** The same measurement over a process that does nothing: what this machine itself adds. */
export async function controlStalls(ms: number): Promise<Stalls> {
  return await stallsOf(async () => await new Promise((resolve) => setTimeout(resolve, ms)))
}

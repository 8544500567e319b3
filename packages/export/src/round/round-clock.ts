/** Time and chance as a schedule of rounds takes them. */
export interface RoundClock {
  /** Milliseconds that only go forward: what is waited for is measured by it. */
  monotonicMs(): number
  /** Unix milliseconds: what the record of a lease says. */
  unixMs(): number
  /** Resolves after `ms`, or as soon as the signal aborts; never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** From 0 to 1. */
  random(): number
}

export const SYSTEM_CLOCK: RoundClock = {
  monotonicMs: () => performance.now(),
  unixMs: () => Date.now(),
  sleep: async (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done)
    }),
  random: () => Math.random(),
}

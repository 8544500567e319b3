export interface BackOffConfig {
  /** The first delay. */
  readonly firstMs: number
  /** The second; each later one doubles. */
  readonly secondMs: number
  readonly maxMs: number
}

/**
 * Milliseconds to wait before attempt `attempt` (0 is the first retry). `random`, in 0 to 1, takes up
 * to half of a delay away, so that a fleet does not return in step.
 */
export function backOffMs(attempt: number, config: BackOffConfig, random: number): number {
  const full = attempt <= 0 ? config.firstMs : config.secondMs * 2 ** Math.min(attempt - 1, 30)
  return Math.min(full, config.maxMs) * (1 - random / 2)
}

/** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}

import type { WorkerOptions } from 'node:worker_threads'

/** Garbage a thread makes is small and soon gone: with V8's own bound, 48 MB, it fills that before anything is collected. */
const YOUNG_MB = 6

/**
 * A thread takes the options of its process, but for one that says how the program's own text is read,
 * and which it refuses. Options of V8 cannot be given to a thread, only taken over.
 */
export function threadOptions(): WorkerOptions {
  const refuses = process.execArgv.some((option) => option.startsWith('--input-type'))
  return {
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    ...(refuses ? { execArgv: [] } : {}),
  }
}

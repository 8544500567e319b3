import { KvError } from '../errors.ts'

/**
 * Waits for `task` no longer than `signal` or `timeoutMs` allow, whatever the task does with its own
 * signal. `onLate` gets a result that came after.
 */
export function within<R>(
  task: Promise<R>,
  options: {
    readonly signal: AbortSignal
    readonly timeoutMs?: number
    readonly what: string
    readonly onLate?: (late: R) => void
  },
): Promise<R> {
  const { signal, timeoutMs, what, onLate } = options
  return new Promise((resolve, reject) => {
    let over = false
    const finish = (settle: () => void): void => {
      if (over) return
      over = true
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      settle()
    }
    const onAbort = (): void => finish(() => reject(signal.reason as Error))
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            finish(() => reject(new KvError('Timeout', `${what} took more than ${timeoutMs} ms`)))
          }, timeoutMs)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    task.then(
      (result) => (over ? onLate?.(result) : finish(() => resolve(result))),
      (error: unknown) => finish(() => reject(error)),
    )
  })
}

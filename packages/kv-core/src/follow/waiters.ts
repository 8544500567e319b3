import { KvError } from '../errors.ts'
import type { WaitOptions } from '../source.ts'

interface Waiter {
  readonly reached: () => boolean
  settle(error?: unknown): void
}

/** Promises that wait for the fold to reach something. */
export class Waiters {
  readonly #waiting = new Set<Waiter>()
  #ended: { readonly error: unknown } | undefined

  get size(): number {
    return this.#waiting.size
  }

  /** KvError `Timeout` after `timeoutMs`; the signal's reason when it aborts. */
  add(reached: () => boolean, what: string, options: WaitOptions = {}): Promise<void> {
    const { signal, timeoutMs } = options
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error)
    if (reached()) return Promise.resolve()
    if (this.#ended !== undefined) return Promise.reject(this.#ended.error)
    return new Promise((resolve, reject) => {
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              waiter.settle(new KvError('Timeout', `${what} was not reached within ${timeoutMs} ms`))
            }, timeoutMs)
      const onAbort = (): void => waiter.settle(signal?.reason)
      const waiter: Waiter = {
        reached,
        settle: (error) => {
          this.#waiting.delete(waiter)
          clearTimeout(timer)
          signal?.removeEventListener('abort', onAbort)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      signal?.addEventListener('abort', onAbort)
      this.#waiting.add(waiter)
    })
  }

  /** Something moved. */
  poll(): void {
    for (const waiter of this.#waiting) if (waiter.reached()) waiter.settle()
  }

  /** Nothing will move any more. */
  end(error: unknown): void {
    this.#ended = { error }
    for (const waiter of this.#waiting) waiter.settle(error)
  }
}

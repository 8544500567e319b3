import type { KvError } from '@slip/kv-core'

/** One open watch as its bucket sees it: something to wake, and to end with an error. */
export class Session {
  #error: KvError | undefined
  #wake: (() => void) | undefined

  wake(): void {
    this.#wake?.()
  }

  fail(error: KvError): void {
    this.#error ??= error
    this.#wake?.()
  }

  throwIfEnded(signal: AbortSignal): void {
    signal.throwIfAborted()
    if (this.#error !== undefined) throw this.#error
  }

  /** Until something was written, the watch must end, or the time is over. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#error !== undefined || signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done)
      this.#wake = done
    })
  }
}

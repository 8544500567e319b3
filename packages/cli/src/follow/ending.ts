/** How `slip follow` ends. */
export type End = { readonly reason: 'caughtUp' | 'signal' } | { readonly error: unknown }

/** The first reason to end wins. */
export class Ending {
  readonly reached: Promise<End>
  readonly with: (end: End) => void

  constructor() {
    let settle!: (end: End) => void
    this.reached = new Promise((resolve) => (settle = resolve))
    this.with = settle
  }

  /** What `open` gives; undefined when the end was reached before. `open` is told to stop then. */
  async unlessReached<R>(open: (signal: AbortSignal) => Promise<R>): Promise<R | undefined> {
    const opening = new AbortController()
    let opened = false
    void this.reached.then(() => {
      if (!opened) opening.abort()
    })
    try {
      return await open(opening.signal)
    } catch (error) {
      if (opening.signal.aborted && error === opening.signal.reason) return undefined
      throw error
    } finally {
      opened = true
    }
  }
}

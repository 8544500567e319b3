import { KvError } from '@slip/kv-core'
import type { KvUpdate, KvWatcher, WatchBatch, WatchOptions, WatchScope } from '@slip/kv-core'

/** The code of the KvError that a promise must reject with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (KvError.is(error)) return error.code
  throw new Error(`no KvError but ${String(error)}`)
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

/** An update in one short line: `a=1@3`, `-a@4`, `-a@5 expired`. */
export function brief(update: KvUpdate): string {
  const at = `@${update.version.revision}`
  if (update.operation === 'put') return `${update.key}=${textOf(update.value)}${at}`
  const sign = update.operation === 'delete' ? '-' : '--'
  return `${sign}${update.key}${at}${update.reason === undefined ? '' : ` ${update.reason}`}`
}

/** A watch that is pulled by hand. */
export class WatchProbe {
  readonly #abort = new AbortController()
  readonly #iterator: AsyncIterator<WatchBatch>

  constructor(watcher: KvWatcher, scope: WatchScope = 'all', options: Omit<WatchOptions, 'signal'> = {}) {
    this.#iterator = watcher.watch(scope, { ...options, signal: this.#abort.signal })[Symbol.asyncIterator]()
  }

  async next(): Promise<WatchBatch> {
    const result = await this.#iterator.next()
    if (result.done === true) throw new Error('the watch ended without an error')
    return result.value
  }

  /** Everything until the watch has caught up. */
  async untilCaughtUp(): Promise<{ updates: string[]; batches: WatchBatch[] }> {
    const batches: WatchBatch[] = []
    for (;;) {
      const batch = await this.next()
      batches.push(batch)
      if (batch.caughtUp) return { updates: batches.flatMap((each) => each.updates.map(brief)), batches }
    }
  }

  /** The next updates, past batches that hold none. */
  async updates(): Promise<string[]> {
    for (;;) {
      const { updates } = await this.next()
      if (updates.length > 0) return updates.map(brief)
    }
  }

  abort(reason: unknown = new Error('the test is over')): void {
    this.#abort.abort(reason)
  }

  /** Ends the watch quietly. */
  async stop(): Promise<void> {
    this.abort()
    await this.#iterator.next().catch(() => undefined)
  }
}

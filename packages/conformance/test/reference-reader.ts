import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { KvError, SnapshotError, type WaitOptions, type WatchCursor } from '@slip/kv-core'
import type { ProcessReader } from '@slip/conformance'
import { EMPTY, StateReader, type FoldState } from './reference-fold.ts'
import { recover } from './reference-log.ts'

/** Reads the file anew at each refresh; a last line without its end is a write under way. */
export class ReferenceReader extends StateReader implements ProcessReader {
  readonly #path: string
  #state: FoldState = EMPTY

  constructor(path: string) {
    super(() => this.#state)
    this.#path = path
    this.refresh()
  }

  refresh(): WatchCursor {
    if (!existsSync(this.#path)) throw new SnapshotError('NotFound', `there is no fold at ${this.#path}`)
    this.#state = recover(readFileSync(this.#path), this.#path).state
    return this.#state.cursor
  }

  async waitFor(revision: bigint, { timeoutMs = Infinity }: WaitOptions = {}): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while ((this.refresh().revision ?? -1n) < revision) {
      if (performance.now() > deadline) throw new KvError('Timeout', `${revision} did not come`)
      await sleep(5)
    }
  }

  async close(): Promise<void> {}
}

export default async (path: string): Promise<ProcessReader> => new ReferenceReader(path)

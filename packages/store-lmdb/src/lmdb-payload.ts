import { join } from 'node:path'
import { Slices, type FoldFacts, type KvUpdate, type PayloadFormat, type TakeUpdates } from '@slip/kv-core'
import { openEnvironment } from './environment.ts'
import { checkFile } from './file-check.ts'
import { FoldCut } from './fold-cut.ts'
import { FoldView } from './fold-view.ts'
import { DEFAULT_MAX_READERS } from './lmdb-options.ts'

/** What `copyTo` calls its file. */
export const COPY_NAME = 'fold.mdb'

const MOST_UPDATES = 1024
const MOST_BYTES = 1024 * 1024

/** A file of LMDB, of layout generation 2, as the payload of an artifact. */
export const lmdbPayload: PayloadFormat = {
  backend: 'lmdb',
  layouts: { 2: [COPY_NAME] },
  check: async (directory, _version, { signal } = {}) => checkCopy(join(directory, COPY_NAME), signal),
  updates: async (directory, _version, take, { signal } = {}) =>
    readUpdates(join(directory, COPY_NAME), take, signal),
}

/** Reads every page and every record by plain reads. SnapshotError `Corrupted`, `InvalidFormat`, `NotFound`, `Io`. */
export async function checkCopy(file: string, signal: AbortSignal | undefined): Promise<FoldFacts> {
  const { cursor, lineage, entries } = await checkFile(file, 'records', { signal })
  return { cursor, lineage, entries }
}

/** The library makes a lock file beside the one it reads. */
async function readUpdates(file: string, take: TakeUpdates, signal: AbortSignal | undefined): Promise<void> {
  const environment = openEnvironment(file, {
    synced: true,
    reads: 'readOnlyFile',
    maxReaders: DEFAULT_MAX_READERS,
  })
  try {
    const cut = FoldCut.newest(environment, file, () => undefined)
    const view = new FoldView(cut, { verifyReads: false, deadlineMs: undefined })
    try {
      const batches = new Batches(take, signal)
      for (const entry of view.entries())
        await batches.add({ operation: 'put', ...entry }, entry.value.length)
      for (const { key, version } of view.deletedKeys())
        await batches.add({ operation: 'delete', key, version }, 0)
      await batches.hand()
    } finally {
      view.close()
      cut.release()
    }
  } finally {
    await environment.root.close()
  }
}

class Batches {
  readonly #take: TakeUpdates
  readonly #signal: AbortSignal | undefined
  readonly #slices: Slices = new Slices('lmdb.updates')
  #updates: KvUpdate[] = []
  #bytes = 0

  constructor(take: TakeUpdates, signal: AbortSignal | undefined) {
    this.#take = take
    this.#signal = signal
  }

  async add(update: KvUpdate, valueBytes: number): Promise<void> {
    this.#updates.push(update)
    this.#bytes += valueBytes
    if (this.#updates.length >= MOST_UPDATES || this.#bytes >= MOST_BYTES) await this.hand()
    else if (this.#slices.due()) await this.#slices.pause()
  }

  async hand(): Promise<void> {
    this.#signal?.throwIfAborted()
    const updates = this.#updates
    this.#updates = []
    this.#bytes = 0
    this.#slices.end()
    if (updates.length > 0) await this.#take(updates)
    this.#slices.begin()
  }
}

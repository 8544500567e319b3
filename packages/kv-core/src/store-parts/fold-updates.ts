import type { KvUpdate } from '../entry.ts'
import type { FoldUpdates, TakeUpdates } from '../payload.ts'
import { Slices } from '../slices.ts'
import type { ListedKey, WaitOptions } from '../source.ts'
import type { FoldReader } from '../store.ts'

/** A fold that does not change while it is read, such as a view or a reader. */
export interface FoldSource extends Pick<FoldReader, 'entries' | 'cursor'> {
  readonly lineage?: Uint8Array | undefined
  deletedKeys?(): Iterable<ListedKey>
}

const MOST_UPDATES = 4_096
const MOST_BYTES = 1024 * 1024

/** A fold as the updates that make it: its entries, then its deleted keys as deletes, in key-byte order. */
export function updatesOf(source: FoldSource, options: WaitOptions = {}): FoldUpdates {
  return {
    cursor: source.cursor,
    lineage: source.lineage,
    read: async (take) => {
      const batches = new UpdateBatches('fold.updates', take, options)
      for (const entry of source.entries()) await batches.add({ operation: 'put', ...entry })
      for (const { key, version } of source.deletedKeys?.() ?? [])
        await batches.add({ operation: 'delete', key, version })
      await batches.end()
    },
  }
}

/** Hands updates over in batches of a bounded size, and pauses when the event loop has waited long enough. */
export class UpdateBatches {
  readonly #take: TakeUpdates
  readonly #signal: AbortSignal | undefined
  readonly #slices: Slices
  #updates: KvUpdate[] = []
  #bytes = 0

  constructor(work: string, take: TakeUpdates, { signal }: WaitOptions = {}) {
    this.#take = take
    this.#signal = signal
    this.#slices = new Slices(work)
  }

  async add(update: KvUpdate): Promise<void> {
    this.#updates.push(update)
    this.#bytes += update.key.length + (update.operation === 'put' ? update.value.length : 0)
    if (this.#updates.length >= MOST_UPDATES || this.#bytes >= MOST_BYTES) await this.#hand()
    else if ((this.#updates.length & 63) === 0 && this.#slices.due()) await this.#slices.pause()
  }

  /** Hands over what is left. */
  async end(): Promise<void> {
    await this.#hand()
    this.#slices.end()
  }

  async #hand(): Promise<void> {
    this.#signal?.throwIfAborted()
    const updates = this.#updates
    this.#updates = []
    this.#bytes = 0
    this.#slices.end()
    if (updates.length > 0) await this.#take(updates)
    this.#slices.begin()
  }
}

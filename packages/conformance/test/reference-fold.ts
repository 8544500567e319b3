import { compareKeys, SnapshotError } from '@slip/kv-core'
import {
  WatchCursor,
  type FoldReader,
  type KvEntry,
  type KvUpdate,
  type ListedKey,
  type RangeOptions,
} from '@slip/kv-core'

/** One committed state of a fold; never changed once it is current. */
export interface FoldState {
  readonly live: ReadonlyMap<string, KvEntry>
  readonly deleted: ReadonlyMap<string, ListedKey>
  readonly cursor: WatchCursor
  readonly lineage: Uint8Array | undefined
}

export const EMPTY: FoldState = {
  live: new Map(),
  deleted: new Map(),
  cursor: WatchCursor.none,
  lineage: undefined,
}

/** The state after one more apply; bytes are copied. */
export function advance(
  state: FoldState,
  batch: readonly KvUpdate[],
  cursor: WatchCursor,
  lineage: Uint8Array | undefined,
): FoldState {
  const live = new Map(state.live)
  const deleted = new Map(state.deleted)
  for (const update of batch) {
    const { key, version } = update
    if (update.operation === 'put') {
      live.set(key, { key, version, value: Uint8Array.from(update.value) })
      deleted.delete(key)
    } else {
      live.delete(key)
      deleted.set(key, { key, version })
    }
  }
  return { live, deleted, cursor, lineage: lineage === undefined ? state.lineage : Uint8Array.from(lineage) }
}

/** Reads of whichever state `current` gives, which throws when there is nothing to read any more. */
export class StateReader implements FoldReader {
  readonly #current: () => FoldState

  constructor(current: () => FoldState) {
    this.#current = current
  }

  get cursor(): WatchCursor {
    return this.#current().cursor
  }

  get(key: string): KvEntry | undefined {
    return copied(this.#current().live.get(key))
  }

  getMany(keys: readonly string[]): (KvEntry | undefined)[] {
    return keys.map((key) => this.get(key))
  }

  has(key: string): boolean {
    return this.#current().live.has(key)
  }

  range(prefix: string, options?: RangeOptions): KvEntry[] {
    return select(this.#current().live, prefix, options).map((entry) => copied(entry)!)
  }

  entries(prefix = '', options?: RangeOptions): IterableIterator<KvEntry> {
    return this.range(prefix, options)[Symbol.iterator]()
  }

  keys(prefix = '', options?: RangeOptions): IterableIterator<string> {
    const keys = this.range(prefix, options).map(({ key }) => key)
    return keys[Symbol.iterator]()
  }
}

export function select<T extends { readonly key: string }>(
  from: ReadonlyMap<string, T>,
  prefix: string,
  { gte, gt, lt, lte, reverse, limit }: RangeOptions = {},
): T[] {
  const chosen = [...from.values()]
    .filter(({ key }) => key.startsWith(prefix))
    .filter(({ key }) => gte === undefined || compareKeys(key, gte) >= 0)
    .filter(({ key }) => gt === undefined || compareKeys(key, gt) > 0)
    .filter(({ key }) => lt === undefined || compareKeys(key, lt) < 0)
    .filter(({ key }) => lte === undefined || compareKeys(key, lte) <= 0)
    .sort((a, b) => compareKeys(a.key, b.key))
  if (reverse === true) chosen.reverse()
  return chosen.slice(0, limit)
}

function copied(entry: KvEntry | undefined): KvEntry | undefined {
  return entry === undefined ? undefined : { ...entry, value: Uint8Array.from(entry.value) }
}

export function closed(): never {
  throw new SnapshotError('Closed', 'the reference store is closed')
}

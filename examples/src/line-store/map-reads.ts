import { SnapshotError, WatchCursor, compareKeys } from '@slip/kv-core'
import type { FoldReader, KvEntry, RangeOptions } from '@slip/kv-core'

/** The reads of a fold that is a Map. Without views a listing ends when a commit comes between two steps. */
export class MapReads implements FoldReader {
  cursor: WatchCursor = WatchCursor.none
  protected readonly live: Map<string, KvEntry> = new Map()
  protected closed: boolean = false

  get(key: string): KvEntry | undefined {
    if (this.closed) throw new SnapshotError('Closed', 'the store is closed')
    const entry = this.live.get(key)
    return entry && { ...entry, value: entry.value.slice() }
  }

  getMany(keys: readonly string[]): (KvEntry | undefined)[] {
    return keys.map((key) => this.get(key))
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  range(prefix: string, options?: RangeOptions): KvEntry[] {
    return [...this.entries(prefix, options)]
  }

  *entries(prefix = '', { gte, gt, lt, lte, reverse, limit }: RangeOptions = {}): IterableIterator<KvEntry> {
    if (this.closed) throw new SnapshotError('Closed', 'the store is closed')
    const { cursor } = this
    const keys = [...this.live.keys()]
      .filter((key) => key.startsWith(prefix))
      .filter((key) => gte === undefined || compareKeys(key, gte) >= 0)
      .filter((key) => gt === undefined || compareKeys(key, gt) > 0)
      .filter((key) => lt === undefined || compareKeys(key, lt) < 0)
      .filter((key) => lte === undefined || compareKeys(key, lte) <= 0)
      .sort(compareKeys)
    for (const key of (reverse === true ? keys.reverse() : keys).slice(0, limit)) {
      if (cursor !== this.cursor) throw new SnapshotError('StoreChanged', 'a commit came in between')
      yield this.get(key)!
    }
  }

  *keys(prefix = '', options?: RangeOptions): IterableIterator<string> {
    for (const { key } of this.entries(prefix, options)) yield key
  }
}

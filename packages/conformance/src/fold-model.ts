import assert from 'node:assert/strict'
import {
  WatchCursor,
  bytesToHex,
  type ApplyOptions,
  type FoldReader,
  type KvUpdate,
  type RangeOptions,
  type SnapshotStore,
} from '@slip/kv-core'

/** An entry in a form that compares and prints well. */
export interface PlainEntry {
  readonly key: string
  readonly value: string
  readonly version: string
}

export function plain(entry: { key: string; value: Uint8Array; version: { toHex(): string } }): PlainEntry {
  return { key: entry.key, value: bytesToHex(entry.value), version: entry.version.toHex() }
}

/** Key order by definition: the UTF-8 bytes. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** What a fold must hold, kept the simplest way. */
export class FoldModel {
  readonly #live: Map<string, PlainEntry>
  readonly #deleted: Map<string, string>
  cursor: WatchCursor = WatchCursor.none
  lineage: string | undefined

  constructor(from?: FoldModel) {
    this.#live = new Map(from === undefined ? [] : from.#live)
    this.#deleted = new Map(from === undefined ? [] : from.#deleted)
    if (from === undefined) return
    this.cursor = from.cursor
    this.lineage = from.lineage
  }

  /** The model after `updates`, its cursor at the last of them. */
  static of(updates: readonly KvUpdate[]): FoldModel {
    const model = new FoldModel()
    const last = updates.at(-1)
    if (last !== undefined) model.apply(updates, WatchCursor.fromToken(last.version))
    return model
  }

  apply(batch: readonly KvUpdate[], cursor: WatchCursor, options?: ApplyOptions): void {
    for (const update of batch) {
      if (update.operation === 'put') {
        this.#live.set(update.key, plain(update))
        this.#deleted.delete(update.key)
      } else {
        this.#live.delete(update.key)
        this.#deleted.set(update.key, update.version.toHex())
      }
    }
    this.cursor = cursor
    if (options?.lineage !== undefined) this.lineage = bytesToHex(options.lineage)
  }

  get(key: string): PlainEntry | undefined {
    return this.#live.get(key)
  }

  range(prefix: string, options: RangeOptions = {}): PlainEntry[] {
    const { gte, gt, lt, lte, reverse, limit } = options
    const chosen = [...this.#live.values()]
      .filter(({ key }) => key.startsWith(prefix))
      .filter(({ key }) => gte === undefined || byBytes(key, gte) >= 0)
      .filter(({ key }) => gt === undefined || byBytes(key, gt) > 0)
      .filter(({ key }) => lt === undefined || byBytes(key, lt) < 0)
      .filter(({ key }) => lte === undefined || byBytes(key, lte) <= 0)
      .sort((a, b) => byBytes(a.key, b.key))
    if (reverse === true) chosen.reverse()
    return limit === undefined ? chosen : chosen.slice(0, limit)
  }

  deleted(prefix = ''): { key: string; version: string }[] {
    return [...this.#deleted]
      .map(([key, version]) => ({ key, version }))
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => byBytes(a.key, b.key))
  }
}

/** The whole of what a reader can see, against the model. */
export function assertReads(reader: FoldReader, model: FoldModel, when: string): void {
  assert.deepEqual(reader.range('').map(plain), model.range(''), `entries ${when}`)
  assert.equal(reader.cursor.toHex(), model.cursor.toHex(), `cursor ${when}`)
}

/** The whole of what a store holds, against the model. */
export function assertHolds(store: SnapshotStore, model: FoldModel, when: string): void {
  assertReads(store, model, when)
  if (store.features.lineage)
    assert.equal(
      store.lineage === undefined ? undefined : bytesToHex(store.lineage),
      model.lineage,
      `lineage ${when}`,
    )
  if (store.features.deletedKeys) assert.deepEqual(deletedOf(store), model.deleted(), `deleted keys ${when}`)
}

export function deletedOf(store: SnapshotStore, prefix?: string): { key: string; version: string }[] {
  assert.ok(store.deletedKeys !== undefined, 'deletedKeys() is there')
  return [...store.deletedKeys(prefix)].map(({ key, version }) => ({ key, version: version.toHex() }))
}

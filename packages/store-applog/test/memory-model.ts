import { compareKeys, VersionToken, type KvEntry, type KvUpdate, type RangeOptions } from '@slip/kv-core'
import type { FoldReads, MemoryFold } from '../src/memory/memory-fold.ts'
import { recordSize, writeRecord } from '../src/record.ts'

export const SEED: number = Number(process.env['SLIP_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/** A small seeded generator (mulberry32): numbers from 0 up to 1. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function put(
  key: string,
  value: Uint8Array | string,
  revision: number,
  expiresAtMs?: number,
): KvUpdate {
  const entry = {
    operation: 'put' as const,
    key,
    value: typeof value === 'string' ? new TextEncoder().encode(value) : value,
    version: VersionToken.fromRevision(BigInt(revision)),
  }
  return expiresAtMs === undefined ? entry : { ...entry, expiresAtMs }
}

export function removal(key: string, revision: number): KvUpdate {
  return { operation: 'delete', key, version: VersionToken.fromRevision(BigInt(revision)) }
}

/** The records of a batch, end to end. */
export function encode(updates: readonly KvUpdate[]): Uint8Array {
  const bytes = new Uint8Array(updates.reduce((size, update) => size + recordSize(update), 0))
  let at = 0
  for (const update of updates) at = writeRecord(bytes, at, update)
  return bytes
}

export function write(fold: MemoryFold, ...updates: KvUpdate[]): void {
  const bytes = encode(updates)
  fold.putRecords(bytes, 0, bytes.length)
}

/** The plain form of an entry, so that differences can be read. */
export function plain(entry: KvEntry | undefined): unknown {
  return entry === undefined
    ? undefined
    : [entry.key, Buffer.from(entry.value).toString('hex'), entry.version.toHex(), entry.expiresAtMs]
}

/** The obvious fold: a map of the last updates. */
export class ModelFold {
  readonly last: Map<string, KvUpdate> = new Map<string, KvUpdate>()

  apply(update: KvUpdate): void {
    this.last.set(update.key, update)
  }

  copy(): ModelFold {
    const copied = new ModelFold()
    for (const update of this.last.values()) copied.apply(update)
    return copied
  }

  keys(puts: boolean): string[] {
    return [...this.last.values()]
      .filter((update) => (update.operation === 'put') === puts)
      .map((update) => update.key)
      .sort(compareKeys)
  }

  get(key: string): unknown {
    const update = this.last.get(key)
    return update?.operation === 'put' ? plain(update) : undefined
  }

  range(prefix: string, options: RangeOptions): string[] {
    const { gte, gt, lt, lte, reverse, limit } = options
    const found = this.keys(true).filter(
      (key) =>
        key.startsWith(prefix) &&
        (gte === undefined || compareKeys(key, gte) >= 0) &&
        (gt === undefined || compareKeys(key, gt) > 0) &&
        (lt === undefined || compareKeys(key, lt) < 0) &&
        (lte === undefined || compareKeys(key, lte) <= 0),
    )
    if (reverse === true) found.reverse()
    return found.slice(0, limit ?? found.length)
  }
}

/** What all reads of a fold or view say. */
export function everything(reads: FoldReads): unknown {
  return [...reads.entries()].map(plain)
}

export function everythingOf(model: ModelFold): unknown {
  return model.keys(true).map((key) => model.get(key))
}

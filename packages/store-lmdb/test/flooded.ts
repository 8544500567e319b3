import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { KvUpdate } from '@slip/kv-core'
import type { BulkOptions, LmdbReader, LmdbSnapshot } from '@slip/store-lmdb'
import { expect } from 'vitest'
import { open } from '../dist/lmdb-js.js'

/** Runs of some hundred keys, from the first batch on, merged only when the test asks. */
export const IN_BULK: BulkOptions = { fromEntries: 0, batchUpdates: 1, runBytes: 30_000, calmMs: 600_000 }

/** What a sequence of updates leaves: entries and deleted keys in key order, values as text. */
export function stateOf(updates: readonly KvUpdate[]): { live: [string, string][]; deleted: string[] } {
  const live = new Map<string, string>()
  const deleted = new Set<string>()
  for (const update of updates) {
    live.delete(update.key)
    deleted.delete(update.key)
    if (update.operation === 'put') live.set(update.key, Buffer.from(update.value).toString('latin1'))
    else deleted.add(update.key)
  }
  const inOrder = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
  return { live: [...live].sort(([a], [b]) => inOrder(a, b)), deleted: [...deleted].sort(inOrder) }
}

type Fold = LmdbSnapshot | LmdbReader | ReturnType<LmdbSnapshot['view']>

/** Entries in key order, values as text. */
export function shown(fold: Fold, prefix = '', reverse = false): [string, string][] {
  return [...fold.entries(prefix, { reverse })].map(({ key, value }) => [
    key,
    Buffer.from(value).toString('latin1'),
  ])
}

/** Every kind of read shows what these updates leave. */
export function expectState(fold: LmdbSnapshot, updates: readonly KvUpdate[], when: string): void {
  const { live, deleted } = stateOf(updates)
  expect(shown(fold), when).toEqual(live)
  expect(shown(fold, '', true).reverse(), `${when}, from the end`).toEqual(live)
  expect([...fold.keys()], `${when}, keys`).toEqual(live.map(([key]) => key))
  expect(
    [...fold.deletedKeys()].map(({ key }) => key),
    `${when}, deleted keys`,
  ).toEqual(deleted)
  expect(fold.stats, when).toMatchObject({ entries: live.length, deletedKeys: deleted.length })
  for (const [key, value] of live) expect(Buffer.from(fold.get(key)!.value).toString('latin1')).toBe(value)
  for (const key of deleted) expect([fold.get(key), fold.has(key)], key).toEqual([undefined, false])
}

/** What is above the sorted databases of the one file at `path`, which nobody has open. */
export async function layersOf(path: string): Promise<{ runs: number; arrivals: number } | undefined> {
  const names = (await readdir(path)).filter((name) => name.endsWith('.mdb'))
  expect(names).toHaveLength(1)
  const root = open(join(path, names[0]!), {
    noSubdir: true,
    maxDbs: 1_536,
    readOnly: true,
    encoding: 'binary',
    keyEncoding: 'binary',
  })
  const meta = root.openDB('meta', { encoding: 'binary', keyEncoding: 'binary' })
  const row = meta?.getBinaryFast(Buffer.from('layers'))
  const found =
    row === undefined
      ? undefined
      : {
          runs: new DataView(row.buffer, row.byteOffset).getUint32(28, true),
          arrivals:
            new DataView(row.buffer, row.byteOffset).getUint32(24, true) -
            new DataView(row.buffer, row.byteOffset).getUint32(20, true),
        }
  await root.close()
  return found
}

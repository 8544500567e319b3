import { stat } from 'node:fs/promises'
import { SnapshotError, WatchCursor } from '@slip/kv-core'
import { lmdb, LmdbReader, LmdbSnapshot, verifyLmdb, writeLmdb } from '@slip/store-lmdb'
import { definedOnly } from './defined-only.ts'
import type { FoldBackend, FoldVerdict, OpenedFold } from './fold-backend.ts'

const GENERATION = 2

export const LMDB: FoldBackend = {
  name: 'lmdb',

  async open(path) {
    try {
      return await opened(await LmdbReader.open({ path, verifyReads: true }))
    } catch (error) {
      // A directory that a crash left before its first file was complete: `verify` says the same.
      if (!isNotFound(error) || (await isMissing(path))) throw error
      return NOTHING
    }
  },

  async verify(path): Promise<FoldVerdict> {
    const found = await verifyLmdb(path)
    return found.verdict === 'intact' ? { ...found, at: found.bytes } : found
  },

  place: ({ path, durability, waitLockMs }) => lmdb({ path, ...definedOnly({ durability, waitLockMs }) }),

  async compact(path, options) {
    const store = await LmdbSnapshot.open({ path, durability: 'os', ...definedOnly(options) })
    try {
      return { ...(await store.compact()), recovery: store.recovery }
    } finally {
      await store.close()
    }
  },

  write: async (path, source) => writeLmdb(path, source),
}

/** What the commands read of the reader, which has its reads in its prototype. */
async function opened(reader: LmdbReader): Promise<OpenedFold> {
  const holder = await reader.holder()
  return {
    get: (key) => reader.get(key),
    getMany: (keys) => reader.getMany(keys),
    has: (key) => reader.has(key),
    range: (prefix, options) => reader.range(prefix, options),
    entries: (prefix, options) => reader.entries(prefix, options),
    keys: (prefix, options) => reader.keys(prefix, options),
    deletedKeys: () => reader.deletedKeys(),
    cursor: reader.cursor,
    generation: reader.generation,
    lineage: reader.lineage,
    stats: reader.stats,
    recovery: undefined,
    holder,
    check: async () => reader.check(),
    payload: reader.payload,
    copyTo: async (directory, options) => reader.copyTo(directory, options),
    async usage() {
      const { freeBytes, mapBytes, maxReaders, readers } = await reader.usage()
      const others = readers.filter(({ pid }) => pid !== process.pid).sort((a, b) => b.behind - a.behind)
      return { freeBytes, mapBytes, maxReaders, readers: others.length, oldestReader: others[0] ?? null }
    },
    close: async () => reader.close(),
  }
}

const NOTHING: OpenedFold = {
  get: () => undefined,
  getMany: (keys) => keys.map(() => undefined),
  has: () => false,
  range: () => [],
  entries: () => [].values(),
  keys: () => [].values(),
  deletedKeys: () => [],
  cursor: WatchCursor.none,
  generation: GENERATION,
  lineage: undefined,
  stats: { entries: 0, deletedKeys: 0, bytes: 0 },
  recovery: undefined,
  holder: undefined,
  close: async () => undefined,
}

function isNotFound(error: unknown): boolean {
  return SnapshotError.is(error) && error.code === 'NotFound'
}

async function isMissing(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    () => true,
  )
}

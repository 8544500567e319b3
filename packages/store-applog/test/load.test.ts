import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WatchCursor, type KvUpdate } from '@slip/kv-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AppendLogSnapshot } from '../src/append-log-snapshot.ts'
import { nodeFileSystem } from '@slip/kv-core/store-parts'
import { loadLog } from '../src/load-log.ts'
import { MemoryFold } from '../src/memory/memory-fold.ts'
import {
  everything,
  everythingOf,
  ModelFold,
  put,
  removal,
  seededRandom,
  SEED,
  write,
} from './memory-model.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'slip-load-'))
})
afterAll(async () => await rm(directory, { recursive: true, force: true }))

/** A log of frames from one small record to several times a segment of 4 KiB, over few keys. */
async function randomLog(name: string, random: () => number): Promise<{ path: string; model: ModelFold }> {
  const path = join(directory, name)
  const model = new ModelFold()
  const store = await AppendLogSnapshot.open({ path, compact: false })
  let revision = 0
  for (let commit = 0; commit < 120; commit++) {
    if (commit === 40) await store.compact()
    const batch: KvUpdate[] = []
    const updates = random() < 0.1 ? 1_200 : 1 + Math.floor(random() * 12)
    for (let i = 0; i < updates; i++) {
      const key = `key.${Math.floor(random() * 300)}${random() < 0.1 ? '.ü' : ''}`
      const size = random() < 0.02 ? 6_000 * random() : 60 * random()
      const update =
        random() < 0.2
          ? removal(key, ++revision)
          : put(key, new Uint8Array(size).fill(revision), ++revision, random() < 0.1 ? revision : undefined)
      batch.push(update)
      model.apply(update)
    }
    await store.apply(batch, WatchCursor.fromRevision(BigInt(revision)))
  }
  await store.close()
  return { path, model }
}

async function load(path: string, segmentBytes: number): Promise<MemoryFold> {
  const handle = await nodeFileSystem.open(path, 'read')
  try {
    const { size } = await handle.stat()
    const make = (): MemoryFold => new MemoryFold({ keepDeleted: true, segmentBytes })
    const { fold, verdict } = await loadLog(handle, path, make, { size })
    expect(verdict).toEqual({ verdict: 'intact', at: size })
    return fold
  } finally {
    await handle.close()
  }
}

describe.each([0, 1, 2, 3])(`a log loaded in pieces that the fold keeps (seed ${SEED} + %i)`, (offset) => {
  test.each([4_096, 65_536, 16 * 1024 * 1024])(
    'of at most %i bytes is the fold that was written',
    async (bytes) => {
      const random = seededRandom(SEED + offset)
      const { path, model } = await randomLog(`${offset}-${bytes}.slip`, random)
      const fold = await load(path, bytes)
      expect(everything(fold)).toEqual(everythingOf(model))

      // Garbage in what was kept, and the stretches that are no records, go like any other.
      for (let revision = 10_000; revision < 14_000; revision++) {
        const update = put(`key.${Math.floor(random() * 300)}`, new Uint8Array(40 * random()), revision)
        model.apply(update)
        write(fold, update)
        if (random() < 0.1) fold.maintain(0.2)
      }
      while (fold.maintain(5));
      expect(everything(fold)).toEqual(everythingOf(model))
      expect(fold.arenaBytes).toBeLessThan(3 * fold.liveBytes + bytes)
    },
  )
})

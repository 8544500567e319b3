import assert from 'node:assert/strict'
import { open, readFile, stat, writeFile } from 'node:fs/promises'
import { SnapshotError, WatchCursor, type SnapshotStore } from '@slip/kv-core'
import { CaseSkipped, type CaseTemplate } from '../conformance-case.ts'
import { FoldModel, assertReads, plain } from '../fold-model.ts'
import { SeededRandom, chooseSeed } from '../seeded-random.ts'
import { StoreHarness, onStore } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { FIXTURE, at, put, randomUpdates } from '../updates.ts'

const UPDATES = randomUpdates(new SeededRandom(31), 1, 40)
const BATCH = 4

export const recoveryCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'recovery/nothing-to-report',
    title: 'a new fold and one that was closed cleanly report no recovery',
    promise: 10,
    run: onStore(async (store, harness) => {
      assert.equal(store.recovery, undefined)
      await store.apply(FIXTURE, at(7))
      assert.equal((await harness.reopen(store)).recovery, undefined)
    }),
  },
  {
    id: 'recovery/truncated',
    title: 'a file cut anywhere opens as an exact prefix or is refused with a typed error',
    promise: 10,
    run: (suite) =>
      onDamagedFile(suite, async (damage) => {
        const { bytes } = damage
        const cuts = new Set([0, 1, bytes.length - 1, ...sampled(bytes.length, 60, chooseSeed(suite.seed))])
        for (const cut of cuts) await damage.open(bytes.subarray(0, cut), `cut at ${cut}`)
      }),
  },
  {
    id: 'recovery/truncated-and-replayed',
    title: 'a fold from a file cut anywhere converges when it is replayed from its cursor',
    promise: 3,
    run: (suite) =>
      onDamagedFile(suite, async ({ harness, path, bytes }) => {
        for (const cut of sampled(bytes.length, 30, chooseSeed(suite.seed))) {
          await overwrite(path, bytes.subarray(0, cut))
          const store = await harness.open().catch((error: unknown) => {
            assert.ok(SnapshotError.is(error), `cut at ${cut}: a typed error, not ${String(error)}`)
          })
          if (store === undefined) continue
          const from = Number(store.cursor.revision ?? 0n)
          await store.apply(UPDATES.slice(from), at(UPDATES.length))
          assertReads(store, FoldModel.of(UPDATES), `cut at ${cut}, replayed from ${from}`)
          await store.close()
        }
      }),
  },
  {
    id: 'recovery/flipped-bit',
    title: 'a file with any bit flipped opens as a prefix of the updates or is refused with a typed error',
    promise: 10,
    run: (suite) =>
      onDamagedFile(suite, async (damage) => {
        const random = new SeededRandom(chooseSeed(suite.seed))
        for (const offset of sampled(damage.bytes.length, 100, random.below(2 ** 31)))
          await damage.open(
            flipped(damage.bytes, offset, random.below(8)),
            `a bit of byte ${offset} flipped`,
            'update',
          )
      }),
  },
  {
    id: 'recovery/flipped-bit-exact',
    title: 'what opens after a flipped bit ends with a whole commit, data and cursor together',
    promise: 1,
    run: (suite) =>
      onDamagedFile(suite, async (damage) => {
        // Fixed places, so that the same file always gives the same answer, and a known gap stays one.
        const stride = Math.ceil(damage.bytes.length / 150)
        for (let offset = 0; offset < damage.bytes.length; offset += stride)
          await damage.open(flipped(damage.bytes, offset, offset % 8), `a bit of byte ${offset} flipped`)
      }),
  },
  {
    id: 'recovery/torn-tail-reported',
    title: 'a last write that was cut short is reported with its size, and the fold goes on',
    promise: 10,
    run: (suite) =>
      onDamagedFile(suite, async (damage) => {
        await writeFile(damage.path, damage.bytes.subarray(0, damage.bytes.length - 1))
        const store = await damage.harness.open()
        assert.equal(store.recovery?.verdict, 'torn', 'reported')
        assert.ok(store.recovery.bytes > 0, 'with its size')
        await store.apply([put('after', 'v', 999)], at(999))
        const reopened = await damage.harness.reopen(store)
        assert.equal(reopened.has('after'), true)
        assert.equal(reopened.recovery, undefined, 'once')
      }),
  },
  {
    id: 'recovery/foreign-file',
    title: 'a file that is not a fold is refused and left byte for byte as it was',
    promise: 10,
    run: (suite) =>
      StoreHarness.with(suite, async (harness) => {
        await fileOf(harness, await harness.open())
        const { path } = harness.fixture
        const foreign = Buffer.from('#!/bin/sh\necho this is somebody else’s file, and it stays that way\n')
        await writeFile(path!, foreign)
        await assert.rejects(
          () => harness.open(),
          (error) => SnapshotError.is(error),
        )
        assert.deepEqual(await readFile(path!), foreign)
      }),
  },
]

interface Damage {
  readonly harness: StoreHarness
  readonly path: string
  readonly bytes: Uint8Array
  /** Opens the fold with `bytes` in its file; whatever opens must end with a whole commit, or update. */
  open(bytes: Uint8Array, what: string, endsWith?: 'commit' | 'update'): Promise<void>
}

async function onDamagedFile(suite: StoreSuite, body: (damage: Damage) => Promise<void>): Promise<void> {
  await StoreHarness.with(suite, async (harness) => {
    const store = await harness.open()
    for (let i = 0; i < UPDATES.length; i += BATCH)
      await store.apply(UPDATES.slice(i, i + BATCH), at(i + BATCH))
    const path = await fileOf(harness, store)
    const bytes = await readFile(path)
    await body({ harness, path, bytes, open: (...damaged) => openDamaged(harness, path, ...damaged) })
  })
}

async function openDamaged(
  harness: StoreHarness,
  path: string,
  bytes: Uint8Array,
  what: string,
  endsWith: 'commit' | 'update' = 'commit',
): Promise<void> {
  await overwrite(path, bytes)
  let store: SnapshotStore
  try {
    store = await harness.open()
  } catch (error) {
    assert.ok(SnapshotError.is(error), `${what}: a typed error, not ${String(error)}`)
    assert.equal(Buffer.compare(await readFile(path), bytes), 0, `${what}: a refused file is untouched`)
    return
  }
  const applied = Number(store.cursor.revision ?? 0n)
  assert.ok(
    applied % BATCH === 0 && applied <= UPDATES.length,
    `${what}: a cursor that was committed, not ${applied}`,
  )
  const model = endsWith === 'commit' ? modelAt(applied, applied) : nearestModel(store, applied)
  assertReads(store, model, `${what}, opened at ${applied}`)
  await store.close()
}

function modelAt(cursor: number, updates: number): FoldModel {
  const model = FoldModel.of(UPDATES.slice(0, updates))
  model.cursor = cursor === 0 ? WatchCursor.none : at(cursor)
  return model
}

/** The fold at the cursor, or with some of the next commit's updates, whichever the store shows. */
function nearestModel(store: SnapshotStore, applied: number): FoldModel {
  const held = JSON.stringify(store.range('').map(plain))
  const more = Array.from({ length: BATCH + 1 }, (_, i) =>
    modelAt(applied, Math.min(applied + i, UPDATES.length)),
  )
  return more.find((model) => JSON.stringify(model.range('')) === held) ?? more[0]!
}

function flipped(bytes: Uint8Array, offset: number, bit: number): Uint8Array {
  const damaged = Uint8Array.from(bytes)
  damaged[offset]! ^= 1 << bit
  return damaged
}

/** In place, so that whatever is known of the file by its identity still is. */
async function overwrite(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(bytes)
  } finally {
    await file.close()
  }
}

/** The one file of the fold, closed; skips where the fold is no single file. */
async function fileOf(harness: StoreHarness, store: SnapshotStore): Promise<string> {
  await store.close()
  const { path } = harness.fixture
  if (path === undefined) throw new CaseSkipped('the fixture names no path')
  if (!(await stat(path).catch(() => undefined))?.isFile())
    throw new CaseSkipped('the fold is not one regular file')
  return path
}

function sampled(length: number, count: number, seed: number): number[] {
  const random = new SeededRandom(seed)
  return Array.from({ length: count }, () => random.below(length))
}

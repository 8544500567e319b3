import assert from 'node:assert/strict'
import { lstat, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SnapshotStore } from '@slip/kv-core'
import { CaseSkipped, type CaseTemplate } from '../conformance-case.ts'
import { FoldModel, assertHolds } from '../fold-model.ts'
import { StoreHarness, onStore } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { rejectsSnapshot } from '../typed-errors.ts'
import { FIXTURE, at, put } from '../updates.ts'

export const copyCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'copy/names-its-files',
    title: 'copyTo gives the cursor of the copy and names regular files inside the directory',
    promise: 13,
    run: onStore((store) =>
      inScratch(async (scratch) => {
        await store.apply(FIXTURE, at(7))
        const directory = join(scratch, 'copy')
        const { cursor, files } = await copyOf(store)(directory)
        assert.equal(cursor.toHex(), at(7).toHex())
        assert.ok(files.length > 0, 'some files')
        for (const file of files) {
          assert.ok(!file.split(/[\\/]/).includes('..'), `${file} stays inside`)
          assert.ok((await lstat(join(directory, file))).isFile(), `${file} is a regular file`)
        }
      }),
    ),
  },
  {
    id: 'copy/leaves-the-fold',
    title: 'copying changes nothing, and the fold goes on',
    promise: 1,
    run: onStore((store, harness) =>
      inScratch(async (scratch) => {
        await store.apply(FIXTURE, at(7))
        await copyOf(store)(join(scratch, 'copy'))
        assertHolds(store, FoldModel.of(FIXTURE), 'after the copy')
        const more = put('later', 'v', 8)
        await store.apply([more], at(8))
        assertHolds(await harness.reopen(store), FoldModel.of([...FIXTURE, more]), 'after the reopen')
      }),
    ),
  },
  {
    id: 'copy/adopt',
    title: 'a copy adopted elsewhere is the fold as it was when copied',
    promise: 13,
    run: onStore((store, harness) =>
      inScratch(async (scratch) => {
        adoptOf(harness)
        const directory = join(scratch, 'copy')
        await store.apply(FIXTURE, at(7), { lineage: Uint8Array.of(4, 2) })
        await copyOf(store)(directory)
        await store.apply([put('later', 'v', 8)], at(8))
        const copied = FoldModel.of(FIXTURE)
        copied.lineage = '0402'
        await harness.elsewhere(async (other) => {
          const location = other.fixture.location
          assert.equal(await location.exists(), false)
          await adoptOf(other)(directory)
          assert.equal(await location.exists(), true)
          const adopted = await other.open()
          assertHolds(adopted, copied, 'adopted')
          await adopted.apply([put('more', 'v', 8)], at(8))
          assert.equal((await other.reopen(adopted)).has('more'), true)
        })
      }),
    ),
  },
  {
    id: 'copy/adopt-over-a-fold',
    title: 'adopting where a fold exists is AlreadyExists and leaves it alone',
    promise: 13,
    run: onStore((store, harness) =>
      inScratch(async (scratch) => {
        adoptOf(harness)
        const directory = join(scratch, 'copy')
        await store.apply(FIXTURE, at(7))
        await copyOf(store)(directory)
        await harness.elsewhere(async (other) => {
          const mine = await other.open()
          await mine.apply([put('mine', 'v', 1)], at(1))
          await mine.close()
          await rejectsSnapshot(() => adoptOf(other)(directory), 'AlreadyExists', 'adopting over a fold')
          assertHolds(await other.open(), FoldModel.of([put('mine', 'v', 1)]), 'after the refusal')
        })
      }),
    ),
  },
]

function copyOf(
  store: SnapshotStore,
): (directory: string) => ReturnType<NonNullable<SnapshotStore['copyTo']>> {
  if (store.copyTo === undefined) throw new CaseSkipped('the store has no copyTo()')
  return (directory) => store.copyTo!(directory)
}

function adoptOf(harness: StoreHarness): (directory: string) => Promise<void> {
  const { location } = harness.fixture
  if (location.adopt === undefined) throw new CaseSkipped('the location has no adopt()')
  return (directory) => location.adopt!(directory)
}

async function inScratch(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'slip-conformance-'))
  try {
    await body(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

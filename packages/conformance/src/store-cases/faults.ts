import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { SnapshotError, type SnapshotStore, type StagedFold } from '@slip/kv-core'
import { CaseSkipped, type CaseTemplate, type Tally } from '../conformance-case.ts'
import { FoldModel, assertHolds } from '../fold-model.ts'
import { SeededRandom, chooseSeed } from '../seeded-random.ts'
import { StoreHarness } from '../store-harness.ts'
import type { FileCall, FileFault, StoreSuite } from '../store-suite.ts'
import { rejectsSnapshot } from '../typed-errors.ts'
import { at, del, put } from '../updates.ts'

const needs = ({ features, createFaulty }: StoreSuite): string | undefined => {
  if (!features.durable) return 'not durable'
  return createFaulty === undefined
    ? 'the suite has no createFaulty(): the store has no port to its files'
    : undefined
}

const COMMITS = 7
const STAGED = 5
const MOST_CALLS = 150
const VALUE = new Uint8Array(700).fill(5)
/** What a call that failed may become. */
const FAILURES = ['Io', 'Backend', 'Corrupted', 'Closed'] as const
const SYNCS = new Set(['sync', 'datasync', 'fsync', 'fdatasync'])

export const faultCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'faults/each-call-once',
    title:
      'whichever call fails once: the error is typed, and a reopen finds everything acknowledged and a committed state',
    promise: 9,
    needs,
    run: (suite, tally) => eachCall(suite, tally, (call, failing) => call === failing),
  },
  {
    id: 'faults/each-call-for-good',
    title: 'the same when every call after that one fails too, until the fold is opened again',
    promise: 9,
    needs,
    run: (suite, tally) => eachCall(suite, tally, (call, failing) => call >= failing),
  },
  {
    id: 'faults/staged-keys',
    title:
      'whichever call fails once while a fold is staged or committed: what is in it can be read until it is discarded, unless it is the fold in use',
    promise: 3,
    needs: (suite) => needs(suite) ?? (suite.features.staging ? undefined : 'has no staging'),
    run: eachStagedCall,
  },
  {
    id: 'faults/disk-full',
    title:
      'a write that does not fit is refused with a typed error, reads go on, the handle takes nothing more, a reopened one does',
    promise: 9,
    needs,
    run: async (suite) => {
      let full = false
      await onFaulty(
        suite,
        ({ call }) => (full && call === 'write' ? { code: 'ENOSPC' } : undefined),
        async (harness) => {
          let store = await harness.open()
          for (let revision = 1; revision <= 21; revision++) {
            full = revision % 4 === 0
            if (full) {
              const before = stateAt(revision - 1)
              await rejectsSnapshot(
                () => commit(store, revision),
                ['Io', 'Backend'],
                `apply ${revision} of a full disk`,
              )
              assertHolds(store, before, `after apply ${revision} was refused`)
              full = false
              await rejectsSnapshot(() => commit(store, revision), FAILURES, 'another apply to that handle')
              store = await harness.reopen(store)
              assertHolds(store, before, `reopened after apply ${revision} was refused`)
            }
            await commit(store, revision)
          }
          assertHolds(await harness.reopen(store), stateAt(21), 'in the end')
        },
      )
    },
  },
  {
    id: 'faults/short-writes',
    title: 'writes that take a few bytes at a time are finished',
    promise: 9,
    needs,
    run: async (suite) => {
      const random = new SeededRandom(chooseSeed(suite.seed))
      const judge = ({ call }: FileCall): FileFault | undefined =>
        call === 'write' ? { takes: 1 + random.below(90) } : undefined
      await onFaulty(suite, judge, async (harness) => {
        const store = await harness.open()
        for (let revision = 1; revision <= COMMITS; revision++) await commit(store, revision)
        assertHolds(await harness.reopen(store), stateAt(COMMITS), 'after the reopen')
      })
    },
  },
  {
    id: 'faults/failed-sync',
    title: 'a sync that failed makes nothing durable and ends the handle: the system reports it only once',
    promise: 9,
    needs,
    run: async (suite) => {
      let failing = false
      let failed = 0
      const judge = ({ call }: FileCall): FileFault | undefined => {
        if (!failing || !SYNCS.has(call)) return undefined
        failed++
        return { code: 'EIO' }
      }
      await onFaulty(suite, judge, async (harness) => {
        const store = await harness.open()
        await commit(store, 1)
        await store.sync()
        await commit(store, 2)
        failing = true
        const { durableCursor } = store
        const refused = await store.sync().then(
          () => undefined,
          (error: unknown) => error,
        )
        failing = false
        if (failed === 0) throw new CaseSkipped('sync() made no call of the port named sync or datasync')
        assert.ok(
          SnapshotError.is(refused),
          `a sync that failed rejects with SnapshotError, not ${String(refused)}`,
        )
        assert.equal(store.durableCursor.toHex(), durableCursor.toHex(), 'the durable cursor stays')
        await rejectsSnapshot(() => store.sync(), FAILURES, 'a second sync of that handle')
        await rejectsSnapshot(() => commit(store, 3), FAILURES, 'an apply to that handle')
        const reopened = await harness.reopen(store)
        assertHolds(reopened, stateAt(Number(reopened.cursor.revision ?? 0n)), 'after the reopen')
        assert.ok((reopened.cursor.revision ?? 0n) >= 1n, 'what was synced before is there')
        assert.equal((await reopened.sync()).toHex(), reopened.cursor.toHex(), 'a sync of the reopened fold')
      })
    },
  },
]

/** Stages a fold again and again, the next of its calls failing each time, and reads what was staged. */
async function eachStagedCall(suite: StoreSuite, tally: Tally): Promise<void> {
  for (let failing = 1; ; failing++) {
    let calls = 0
    let armed = false
    const judge = (): FileFault | undefined => (armed && ++calls === failing ? { code: 'EIO' } : undefined)
    await onFaulty(suite, judge, async (harness) => {
      const store = await harness.open()
      await commit(store, 1)
      const staged = await store.stage!()
      armed = true
      const { through, swapped } = await stageAll(staged)
      armed = false
      if (calls < failing || swapped) return
      const keys = [...staged.keys()].toSorted()
      await staged.discard()
      const { cursor } = await harness.reopen(store)
      const possible =
        cursor.revision === BigInt(STAGED) ? [[]] : [through, Math.min(through + 1, STAGED)].map(keysAt)
      assert.ok(
        possible.some((each) => isDeepStrictEqual(each, keys)),
        `call ${failing} failed after batch ${through} was staged, the fold is at ${cursor.revision}: ${keys.join(' ')} can be read`,
      )
      tally('failing calls')
    })
    if (calls < failing) {
      assert.ok(failing > 1, 'staging asks before its calls')
      return
    }
  }
}

/** Through which batch a fold was staged, and whether its commit was acknowledged. */
async function stageAll(
  staged: StagedFold,
): Promise<{ readonly through: number; readonly swapped: boolean }> {
  let through = 0
  try {
    while (through < STAGED) {
      await staged.apply(batchAt(through + 1), at(through + 1))
      through++
    }
    await staged.commit()
    return { through, swapped: true }
  } catch (error) {
    mustBeTyped(error)
    return { through, swapped: false }
  }
}

function keysAt(revision: number): string[] {
  return stateAt(revision)
    .range('')
    .map(({ key }) => key)
    .toSorted()
}

/** Runs the same work again and again, the next of its calls failing each time. */
async function eachCall(
  suite: StoreSuite,
  tally: Tally,
  fails: (call: number, failing: number) => boolean,
): Promise<void> {
  const total = await workWith(suite, () => false)
  assert.ok(total > 0, 'the store asks before its calls')
  const stride = Math.ceil(total / MOST_CALLS)
  for (let failing = 1; failing <= total; failing += stride) {
    await workWith(suite, (call) => fails(call, failing), failing)
    tally('failing calls')
  }
}

/** Does all a store can do; resolves with how many calls that took. */
async function workWith(suite: StoreSuite, fails: (call: number) => boolean, failing = 0): Promise<number> {
  let armed = true
  let calls = 0
  let which = ''
  const judge = ({ call, path }: FileCall): FileFault | undefined => {
    if (!armed || !fails(++calls)) return undefined
    which ||= `${call} of ${path}`
    return { code: 'EIO' }
  }
  await onFaulty(suite, judge, async (harness) => {
    const { location } = harness.fixture
    const acknowledged = await work(location)
    armed = false
    const when = `call ${failing} failed, ${which}`
    if (acknowledged === 0 && !(await location.exists())) return
    const store = await harness.open().catch((cause: unknown) => {
      throw new Error(`${when}: the fold does not open again: ${String(cause)}`, { cause })
    })
    const found = Number(store.cursor.revision ?? 0n)
    assert.ok(found >= acknowledged, `${when}: ${acknowledged} was acknowledged, the fold is at ${found}`)
    assertHolds(store, stateAt(found), when)
    await commit(store, found + 1)
    assertHolds(await harness.reopen(store), stateAt(found + 1), `${when}, and it goes on`)
  })
  return calls
}

/** Opens, applies, syncs, rebuilds and closes, as far as it comes; the last revision that was acknowledged. */
async function work(location: StoreHarness['fixture']['location']): Promise<number> {
  let acknowledged = 0
  let store: SnapshotStore | undefined
  const failures: unknown[] = []
  try {
    store = await location.open()
    for (let revision = 1; revision <= COMMITS; revision++) {
      if (revision === STAGED && store.stage !== undefined) {
        const staged = await store.stage()
        for (let old = 1; old <= revision; old++) await staged.apply(batchAt(old), at(old))
        await staged.commit()
      } else await commit(store, revision)
      acknowledged = revision
      if (revision === 2) await store.sync()
    }
  } catch (error) {
    failures.push(error)
  }
  await store?.close().catch((error: unknown) => failures.push(error))
  failures.forEach(mustBeTyped)
  return acknowledged
}

function mustBeTyped(error: unknown): void {
  assert.ok(SnapshotError.is(error), `a call that failed becomes a SnapshotError, not ${String(error)}`)
  assert.ok(
    FAILURES.some((code) => code === error.code),
    `code ${FAILURES.join(' or ')}, not ${error.code}`,
  )
}

async function onFaulty(
  suite: StoreSuite,
  judge: (call: FileCall) => FileFault | undefined,
  body: (harness: StoreHarness) => Promise<void>,
): Promise<void> {
  const create = (): ReturnType<StoreSuite['create']> => suite.createFaulty!(judge)
  await StoreHarness.with({ ...suite, create }, body)
}

function batchAt(revision: number): ReturnType<typeof put>[] {
  return [
    put(`k${revision}`, VALUE, revision),
    put('last', `${revision}`, revision),
    del(`k${revision - 3}`, revision),
  ]
}

async function commit(store: SnapshotStore, revision: number): Promise<void> {
  await store.apply(batchAt(revision), at(revision))
}

function stateAt(revision: number): FoldModel {
  const model = new FoldModel()
  for (let each = 1; each <= revision; each++) model.apply(batchAt(each), at(each))
  return model
}

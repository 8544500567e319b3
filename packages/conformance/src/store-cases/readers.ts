import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FoldReader } from '@slip/kv-core'
import { CaseSkipped, type CaseTemplate } from '../conformance-case.ts'
import { ForkedChild } from '../forked-child.ts'
import type { ReaderAnswer } from '../reader-child.ts'
import { besideAWriter, commit, questionOf, withWriter } from '../reader-harness.ts'
import { wrongIn } from '../reader-history.ts'
import { runCounts } from '../run-counts.ts'
import { StoreHarness } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'

const READERS_TO_KILL = 6

const needs = ({ features, readerModule }: StoreSuite): string | undefined => {
  if (!features.multiProcessReaders) return 'has no readers in other processes'
  return readerModule === undefined ? 'the suite has no readerModule' : undefined
}

export const readerCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'readers/one-cut',
    title: 'whatever processes read beside a writer is one whole commit, that of the cursor they show',
    promise: 1,
    needs,
    run: (suite, tally) =>
      besideAWriter(suite, { read: { ms: runCounts(suite).readMs } }, tally, {
        reader: ({ mixed }) => assert.deepEqual(mixed, [], 'reads that were no commit'),
      }),
  },
  {
    id: 'readers/never-back',
    title: 'no look of a reader in another process is older than its look before',
    promise: 6,
    needs,
    run: (suite, tally) =>
      besideAWriter(suite, { read: { ms: Math.ceil(runCounts(suite).readMs / 2) } }, tally, {
        reader: ({ wentBack }) => assert.deepEqual(wentBack, [], 'cursors that went back'),
      }),
  },
  {
    id: 'readers/come-and-go',
    title: 'processes that open and close the fold all the time see whole commits, and no commit is lost',
    promise: 1,
    needs,
    run: (suite, tally) =>
      besideAWriter(suite, { visit: { ms: runCounts(suite).readMs } }, tally, {
        reader: ({ mixed, wentBack }) =>
          assert.deepEqual({ mixed, wentBack }, { mixed: [], wentBack: [] }, 'what those who came saw'),
        writer: (store, revision) => assertShows(store, revision, 'the writer'),
        end: async ({ ask, reopen }, revision) => {
          const { failed, last, mixed } = await ask({ visit: { ms: 1 } })
          assert.deepEqual(
            { failed, last, mixed },
            { failed: undefined, last: BigInt(revision), mixed: [] },
            'who comes last',
          )
          assertShows(await reopen(), revision, 'the fold, opened again,')
        },
      }),
  },
  {
    id: 'readers/wait-for',
    title: 'waiting for a revision ends when the fold shows it, not before, or with Timeout',
    promise: 2,
    needs,
    run: (suite) =>
      withWriter(suite, async ({ store, ask }) => {
        await commit(store, 1)
        const late = await ask({ wait: { revision: 5n, timeoutMs: 50 } })
        if (!late.canWait) throw new CaseSkipped('its readers have no waitFor()')
        assert.equal(late.failed, 'Timeout', 'a revision that does not come')
        const waiting = ask({ wait: { revision: 5n, timeoutMs: 60_000 } })
        for (let revision = 2; revision <= 5; revision++) {
          await sleep(20)
          await commit(store, revision)
        }
        const came = await waiting
        assert.equal(came.failed, undefined)
        assert.ok(came.last >= 5n, `it waited for 5 and shows ${came.last}`)
      }),
  },
  {
    id: 'readers/killed',
    title: 'readers that are killed in the middle of a read leave the writer and later readers alone',
    promise: 11,
    needs,
    run: (suite, tally) =>
      withWriter(suite, async ({ store, ask, start }) => {
        await commit(store, 1)
        let revision = 1
        for (let killed = 0; killed < READERS_TO_KILL; killed++) {
          const child = start()
          // Once through, so that the process is surely reading a few milliseconds after it is asked again.
          await ask({ read: { ms: 1 } }, child)
          const reading = ask({ read: { ms: 60_000 } }, child).catch(() => undefined)
          await sleep(25 + 7 * killed)
          await commit(store, ++revision)
          await child.kill()
          tally('readers killed')
          await reading
          await commit(store, ++revision)
        }
        const { failed, last, mixed } = await ask({ read: { ms: 20 } }, start())
        assert.deepEqual({ failed, last, mixed }, { failed: undefined, last: BigInt(revision), mixed: [] })
      }),
  },
  {
    id: 'readers/nothing-there',
    title: 'reading where no fold was ever written is NotFound, and makes none',
    promise: 10,
    needs,
    run: (suite) =>
      StoreHarness.with(suite, async (harness) => {
        const child = ForkedChild.start('reader-child')
        try {
          const { failed } = await child.ask<ReaderAnswer>(questionOf(suite, harness, { read: { ms: 1 } }))
          assert.equal(failed, 'NotFound')
          assert.equal(await harness.fixture.location.exists(), false, 'a fold afterwards')
        } finally {
          await child.kill()
        }
      }),
  },
]

function assertShows(fold: FoldReader, revision: number, who: string): void {
  assert.equal(fold.cursor.revision, BigInt(revision), `${who} after commit ${revision}`)
  assert.equal(wrongIn(fold), undefined, `${who} after commit ${revision}`)
}

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SnapshotStore } from '@slip/kv-core'
import { CaseSkipped, type CaseTemplate, type Tally } from '../conformance-case.ts'
import { ForkedChild } from '../forked-child.ts'
import type { ReaderAnswer, ReaderQuestion } from '../reader-child.ts'
import { readerCommit } from '../reader-history.ts'
import { runCounts } from '../run-counts.ts'
import { StoreHarness } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { at } from '../updates.ts'

const STAGED_EVERY = 150
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
      besideAWriter(suite, runCounts(suite).readMs, tally, ({ mixed }) => {
        assert.deepEqual(mixed, [], 'reads that were no commit')
      }),
  },
  {
    id: 'readers/never-back',
    title: 'no look of a reader in another process is older than its look before',
    promise: 6,
    needs,
    run: (suite, tally) =>
      besideAWriter(suite, Math.ceil(runCounts(suite).readMs / 2), tally, ({ wentBack }) => {
        assert.deepEqual(wentBack, [], 'cursors that went back')
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

type Asked =
  | { readonly read: { readonly ms: number } }
  | { readonly wait: { readonly revision: bigint; readonly timeoutMs: number } }

interface Writing {
  readonly store: SnapshotStore
  /** A reader process, killed with the case. */
  readonly start: () => ForkedChild
  /** Asks one process, the same each time when none is given. */
  readonly ask: (asked: Asked, child?: ForkedChild) => Promise<ReaderAnswer>
}

async function withWriter(suite: StoreSuite, body: (writing: Writing) => Promise<void>): Promise<void> {
  await StoreHarness.with(suite, async (harness) => {
    const children: ForkedChild[] = []
    const start = (): ForkedChild => {
      const child = ForkedChild.start('reader-child')
      children.push(child)
      return child
    }
    const ask: Writing['ask'] = (asked, child = children[0] ?? start()) =>
      child.ask(questionOf(suite, harness, asked))
    try {
      await body({ store: await harness.open(), start, ask })
    } finally {
      await Promise.all(children.map((child) => child.kill()))
    }
  })
}

/** Reader processes at full speed beside a writer at full speed, which also replaces its fold now and then. */
async function besideAWriter(
  suite: StoreSuite,
  ms: number,
  tally: Tally,
  judge: (answer: ReaderAnswer) => void,
): Promise<void> {
  await withWriter(suite, async ({ store, start, ask }) => {
    await commit(store, 1)
    const children = Array.from({ length: runCounts(suite).readers }, start)
    const over = new AbortController()
    const answers = Promise.all(children.map((child) => ask({ read: { ms } }, child))).finally(() =>
      over.abort(),
    )
    let revision = 1
    try {
      while (!over.signal.aborted) {
        await commit(store, ++revision)
        if (store.stage === undefined || revision % STAGED_EVERY > 0) continue
        const staged = await store.stage()
        await staged.apply(readerCommit(++revision), at(revision))
        await staged.commit()
      }
    } finally {
      await answers.catch(() => {})
    }
    tally('commits beside readers', revision)
    for (const answer of await answers) {
      tally('looks of readers', answer.looks)
      assert.equal(answer.failed, undefined, 'what ended a reader')
      assert.ok(answer.looks > 0, 'it read something')
      judge(answer)
    }
  })
}

async function commit(store: SnapshotStore, revision: number): Promise<void> {
  await store.apply(readerCommit(revision), at(revision))
}

function questionOf(suite: StoreSuite, harness: StoreHarness, asked: Asked): ReaderQuestion {
  const { path } = harness.fixture
  if (path === undefined) throw new CaseSkipped('the fixture has no path')
  return { module: suite.readerModule!.href, path, ...asked }
}

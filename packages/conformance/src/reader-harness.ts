import assert from 'node:assert/strict'
import type { SnapshotStore } from '@slip/kv-core'
import { CaseSkipped, type Tally } from './conformance-case.ts'
import { ForkedChild } from './forked-child.ts'
import type { ReaderAnswer, ReaderQuestion, ReaderTask } from './reader-child.ts'
import { readerCommit, readerFold } from './reader-history.ts'
import { runCounts } from './run-counts.ts'
import { StoreHarness } from './store-harness.ts'
import type { StoreSuite } from './store-suite.ts'
import { at } from './updates.ts'

const STAGED_EVERY = 150

export interface Writing {
  readonly store: SnapshotStore
  /** Closes the store; the fold as it opens then. */
  readonly reopen: () => Promise<SnapshotStore>
  /** A reader process, killed with the case. */
  readonly start: () => ForkedChild
  /** Asks one process, the same each time when none is given. */
  readonly ask: (task: ReaderTask, child?: ForkedChild) => Promise<ReaderAnswer>
}

/** Who says whether the readers and the writer may go on; each throws when not. */
export interface Judges {
  readonly reader: (answer: ReaderAnswer) => void
  /** After each commit, of the writer's own handle. */
  readonly writer?: (store: SnapshotStore, revision: number) => void
  /** When the readers are done; `revision` is the last commit. */
  readonly end?: (writing: Writing, revision: number) => Promise<void>
}

/** An open, empty store, and processes that can be asked to read it. */
export async function withWriter(
  suite: StoreSuite,
  body: (writing: Writing) => Promise<void>,
): Promise<void> {
  await StoreHarness.with(suite, async (harness) => {
    const children: ForkedChild[] = []
    const start = (): ForkedChild => {
      const child = ForkedChild.start('reader-child')
      children.push(child)
      return child
    }
    const ask: Writing['ask'] = (task, child = children[0] ?? start()) =>
      child.ask(questionOf(suite, harness, task))
    try {
      const store = await harness.open()
      await body({ store, reopen: () => harness.reopen(store), start, ask })
    } finally {
      await Promise.all(children.map((child) => child.kill()))
    }
  })
}

/** Reader processes at full speed beside a writer at full speed, which also replaces its fold now and then. */
export async function besideAWriter(
  suite: StoreSuite,
  task: ReaderTask,
  tally: Tally,
  judges: Judges,
): Promise<void> {
  await withWriter(suite, async (writing) => {
    const { store, start, ask } = writing
    await commit(store, 1)
    const children = Array.from({ length: runCounts(suite).readers }, start)
    const over = new AbortController()
    const answers = Promise.all(children.map((child) => ask(task, child))).finally(() => over.abort())
    let revision = 1
    try {
      while (!over.signal.aborted) {
        await commit(store, ++revision)
        judges.writer?.(store, revision)
        if (store.stage === undefined || revision % STAGED_EVERY > 0) continue
        const staged = await store.stage()
        await staged.apply(readerFold(++revision), at(revision))
        await staged.commit()
        judges.writer?.(store, revision)
      }
    } finally {
      await answers.catch(() => {})
    }
    tally('commits beside readers', revision)
    for (const answer of await answers) {
      tally('looks of readers', answer.looks)
      tally('openings of readers', answer.openings)
      assert.equal(answer.failed, undefined, 'what ended a reader')
      assert.ok(answer.looks > 0, 'it read something')
      judges.reader(answer)
    }
    await judges.end?.(writing, revision)
  })
}

export async function commit(store: SnapshotStore, revision: number): Promise<void> {
  await store.apply(readerCommit(revision), at(revision))
}

export function questionOf(suite: StoreSuite, harness: StoreHarness, task: ReaderTask): ReaderQuestion {
  const { path } = harness.fixture
  if (path === undefined) throw new CaseSkipped('the fixture has no path')
  return { module: suite.readerModule!.href, path, ...task }
}

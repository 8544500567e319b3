import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { CaseSkipped, type CaseTemplate, type Tally } from '../conformance-case.ts'
import { FoldModel, assertHolds } from '../fold-model.ts'
import { ForkedChild } from '../forked-child.ts'
import type { RebuildQuestion } from '../rebuild-child.ts'
import { rebuiltFold } from '../rebuild-history.ts'
import { runCounts } from '../run-counts.ts'
import { SeededRandom, chooseSeed } from '../seeded-random.ts'
import { StoreHarness } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { at } from '../updates.ts'

export const killedRebuildCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'staging/killed',
    title: 'killed with -9 while it commits a staged fold, a reopen finds the old fold or the new one, whole',
    promise: 6,
    needs: ({ features }) =>
      features.staging ? (features.durable ? undefined : 'not durable') : 'has no staging',
    run: (suite, tally) =>
      StoreHarness.with(suite, async (harness) => {
        const random = new SeededRandom(chooseSeed(suite.seed))
        const kills = Math.max(4, Math.ceil(runCounts(suite).kills / 5))
        for (let kill = 1, revision = 0; kill <= kills; kill++)
          revision = await killOnce(harness, revision, random, tally)
      }),
  },
]

/** Rebuilds once, is killed some milliseconds into the next rebuild; the revision that a reopen finds. */
async function killOnce(
  harness: StoreHarness,
  from: number,
  random: SeededRandom,
  tally: Tally,
): Promise<number> {
  const { childModule, path } = harness.fixture
  if (childModule === undefined || path === undefined)
    throw new CaseSkipped('the fixture has no childModule and path')
  const child = ForkedChild.start('rebuild-child')
  const rebuild = (revision: number): Promise<unknown> =>
    child.ask({ module: childModule.href, path, revision } satisfies RebuildQuestion)
  let acknowledged = from + 10
  try {
    await rebuild(acknowledged)
    const next = rebuild(acknowledged + 10).then(
      () => (acknowledged += 10),
      () => {},
    )
    await sleep(random.below(30))
    await child.kill()
    await next
  } finally {
    await child.kill()
  }
  tally('kills')
  const store = await harness.open()
  const found = Number(store.cursor.revision ?? 0n)
  assert.ok(
    found === acknowledged || found === from + 20,
    `the fold of ${acknowledged}, which was committed, or the one after it, not ${found}`,
  )
  const model = new FoldModel()
  model.apply(rebuiltFold(found), at(found))
  assertHolds(store, model, `after a kill, at ${found}`)
  await store.close()
  return found
}

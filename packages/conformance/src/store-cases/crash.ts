import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { SnapshotStore } from '@slip/kv-core'
import { CaseSkipped, type CaseTemplate, type Tally } from '../conformance-case.ts'
import { CRASH_BATCH, crashHistory } from '../crash-history.ts'
import { FoldModel, assertHolds } from '../fold-model.ts'
import { runCounts } from '../run-counts.ts'
import { SeededRandom, chooseSeed } from '../seeded-random.ts'
import { StoreHarness } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { rejectsSnapshot } from '../typed-errors.ts'
import { at } from '../updates.ts'

const needs = ({ features }: StoreSuite): string | undefined => (features.durable ? undefined : 'not durable')

const TOTAL = 4_000
/** Kills of one place: a child goes at most 45 applies further before it is killed, and is never through. */
const KILLS_A_PLACE = 15

export const crashCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'durability/unsynced-tail',
    title:
      'killed with -9 between syncs, a fold reopens as an exact prefix, and replaying the rest converges',
    promise: 1,
    needs,
    run: async (suite, tally) =>
      onPlaces(suite, runCounts(suite).kills, async (harness, seed, kills) =>
        killAgainAndAgain(harness, seed, kills, tally),
      ),
  },
  {
    id: 'durability/acknowledged-apply',
    title: 'an apply that resolved survives kill -9 of its process',
    promise: 2,
    needs,
    run: async (suite, tally) =>
      onPlaces(suite, Math.max(2, Math.ceil(runCounts(suite).kills / 10)), async (harness, seed, kills) => {
        for (let round = 1; round <= kills; round++) {
          const { applied } = await killAfter(harness, seed, 10 + 10 * (round % 2), 0)
          tally('kills')
          const store = await harness.open()
          assert.ok(
            Number(store.cursor.revision ?? 0n) >= applied,
            `${applied} was acknowledged (seed ${seed})`,
          )
          await store.close()
        }
      }),
  },
  {
    id: 'lock/other-process',
    title: 'a fold held by another process is Busy, and opens at once when that process is killed with -9',
    promise: 11,
    needs,
    run: (suite) =>
      StoreHarness.with(suite, async (harness) => {
        const child = startChild(harness, 1)
        try {
          await linesOf(child, 3)
          await rejectsSnapshot(() => harness.open(), 'Busy', 'opening what another process holds')
        } finally {
          await kill(child)
        }
        await (await harness.open()).close()
      }),
  },
]

/** A new place for every few of `kills`, each with a seed of its own. */
async function onPlaces(
  suite: StoreSuite,
  kills: number,
  body: (harness: StoreHarness, seed: number, kills: number) => Promise<void>,
): Promise<void> {
  const seed = chooseSeed(suite.seed)
  for (let done = 0; done < kills; done += KILLS_A_PLACE)
    await StoreHarness.with(suite, async (harness) =>
      body(harness, seed + done, Math.min(KILLS_A_PLACE, kills - done)),
    )
}

async function killAgainAndAgain(
  harness: StoreHarness,
  seed: number,
  kills: number,
  tally: Tally,
): Promise<void> {
  const random = new SeededRandom(seed)
  const history = crashHistory(seed, TOTAL)
  for (let round = 1; round <= kills; round++) {
    const acknowledged = await killAfter(harness, seed, 1 + random.below(40), random.below(8))
    tally('kills')
    const store = await harness.open()
    const when = `after kill ${round} (seed ${seed})`
    const applied = Number(store.cursor.revision ?? 0n)
    assert.ok(
      applied >= acknowledged.durable,
      `${when}: what was synced at ${acknowledged.durable} is there, not ${applied}`,
    )
    assertHolds(store, FoldModel.of(history.slice(0, applied)), `${when}, at ${applied}`)
    await replay(store, Math.max(0, applied - 3 * CRASH_BATCH), applied + CRASH_BATCH, seed)
    assertHolds(store, FoldModel.of(history.slice(0, applied + CRASH_BATCH)), `${when}, replayed`)
    await store.close()
  }
}

interface Acknowledged {
  readonly applied: number
  readonly durable: number
}

/** Lets a child apply, kills it some milliseconds after its n-th apply, and says what it had acknowledged. */
async function killAfter(
  harness: StoreHarness,
  seed: number,
  applies: number,
  delayMs: number,
): Promise<Acknowledged> {
  const child = startChild(harness, seed)
  try {
    return await linesOf(child, applies, delayMs)
  } finally {
    await kill(child)
  }
}

function startChild(harness: StoreHarness, seed: number): ChildProcess {
  const { childModule, path } = harness.fixture
  if (childModule === undefined || path === undefined)
    throw new CaseSkipped('the fixture has no childModule and path')
  const script = fileURLToPath(new URL('../crash-child.js', import.meta.url))
  return spawn(process.execPath, [script, childModule.href, path, `${seed}`, `${TOTAL}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Reads until `count` applies were acknowledged, or the child is through. */
async function linesOf(child: ChildProcess, count: number, delayMs = 0): Promise<Acknowledged> {
  let complaint = ''
  child.stderr!.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
  let last: Acknowledged | undefined
  let left = count
  for await (const line of createInterface({ input: child.stdout! })) {
    const [applied, durable] = line.split(' ').map(Number)
    last = { applied: applied!, durable: durable! }
    if (--left > 0) continue
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
    break
  }
  assert.ok(last !== undefined, `the child applied something: ${complaint}`)
  return last
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

async function replay(store: SnapshotStore, from: number, to: number, seed: number): Promise<void> {
  const history = crashHistory(seed, TOTAL)
  for (let i = from; i < to; i += CRASH_BATCH)
    await store.apply(history.slice(i, i + CRASH_BATCH), at(i + CRASH_BATCH))
}

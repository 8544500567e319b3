import { setTimeout as sleep } from 'node:timers/promises'
import { AppendLogReader } from '@slip/store-applog'
import { compareFold } from '../fold/compare.ts'
import { revisionJson } from '../output/wire.ts'
import type { DemoBucket } from './demo-bucket.ts'
import { FollowerProcess } from './follower-process.ts'
import { WriteJournal } from './write-journal.ts'

const KEYS = 20_000
const BURST = 50
const BURST_PAUSE_MS = 10
const LIVE_FOR_MS = 1_500
const WRITES_WHILE_AWAY = 250
const READ_PREFIX = 'route.eu.service-12'

/** How the story is told: a step with its facts, a sentence for people, and what is going on meanwhile. */
export interface Teller {
  step(step: string, facts: object, text: string): Promise<void>
  meanwhile(text: () => string): void
}

export interface StoryOutcome {
  readonly delivered: number
  readonly expected: number
  readonly equal: boolean
}

/** Writes, a fold catching up, kill -9, a restart with only the difference, a prefix read, a comparison. */
export async function tellStory(
  bucket: DemoBucket,
  foldPath: string,
  teller: Teller,
  signal: AbortSignal,
): Promise<StoryOutcome> {
  const journal = new WriteJournal(bucket.writer)
  await firstWrites(journal, teller, signal)

  const first = FollowerProcess.start(bucket, foldPath)
  try {
    await catchUp(first, journal, teller, signal)
    await killDuringWrites(first, journal, teller, signal)
  } finally {
    await first.kill()
  }

  const cursor = await durableRevision(foldPath)
  await journal.write(numbers(journal.writes, WRITES_WHILE_AWAY), signal)
  const expected = journal.keysAbove(cursor)
  await teller.step(
    'away',
    { cursor: revisionJson(cursor), lastRevision: revisionJson(journal.lastRevision), missed: expected },
    `Nobody follows; ${WRITES_WHILE_AWAY} more writes. The fold on disk stands at revision ${cursor}, the bucket at ${journal.lastRevision}: ${expected} keys have changed since.`,
  )

  const second = FollowerProcess.start(bucket, foldPath)
  try {
    const delivered = await restart(second, expected, teller, signal)
    await prefixRead(second, teller, signal)
    await second.stop()
    const equal = await compare(bucket, foldPath, teller)
    return { delivered, expected, equal }
  } finally {
    await second.kill()
  }
}

async function firstWrites(journal: WriteJournal, teller: Teller, signal: AbortSignal): Promise<void> {
  const from = performance.now()
  for (let start = 0; start < KEYS; start += 1_000) {
    await journal.write(numbers(start, 1_000), signal)
    teller.meanwhile(() => `${journal.writes} of ${KEYS} routes written`)
  }
  await teller.step(
    'writes',
    {
      keys: journal.keys,
      bytes: journal.bytes,
      lastRevision: revisionJson(journal.lastRevision),
      ms: since(from),
    },
    `${journal.keys} routes written (${(journal.bytes / 1e6).toFixed(1)} MB) in ${since(from)} ms.`,
  )
}

async function catchUp(
  follower: FollowerProcess,
  journal: WriteJournal,
  teller: Teller,
  signal: AbortSignal,
): Promise<void> {
  const from = performance.now()
  follower.onStanding(({ entries, state }) =>
    teller.meanwhile(() => `${state}: ${entries} of ${journal.keys} entries`),
  )
  const { entries, delivered } = await follower.caughtUp(signal)
  await teller.step(
    'catchUp',
    { pid: follower.pid, entries, delivered, ms: since(from) },
    `Process ${follower.pid} follows into a log on disk and has caught up: ${delivered} updates delivered, ${entries} entries, ${since(from)} ms from its start.`,
  )
}

async function killDuringWrites(
  follower: FollowerProcess,
  journal: WriteJournal,
  teller: Teller,
  signal: AbortSignal,
): Promise<void> {
  const before = journal.writes
  const from = performance.now()
  while (since(from) < LIVE_FOR_MS) {
    await journal.write(numbers(journal.writes, BURST), signal)
    teller.meanwhile(() => `${journal.writes - before} live writes`)
    await sleep(BURST_PAUSE_MS, undefined, { signal })
  }
  // No pause between the last burst and the kill: it strikes while updates are on their way.
  await journal.write(numbers(journal.writes, BURST), signal)
  await follower.kill()
  await teller.step(
    'kill',
    { pid: follower.pid, signal: 'SIGKILL', liveWrites: journal.writes - before },
    `${journal.writes - before} live writes, and in the midst of them kill -9 ${follower.pid}.`,
  )
}

async function restart(
  follower: FollowerProcess,
  expected: number,
  teller: Teller,
  signal: AbortSignal,
): Promise<number> {
  const from = performance.now()
  const { entries, delivered } = await follower.caughtUp(signal)
  await teller.step(
    'restart',
    { pid: follower.pid, entries, delivered, expected, ms: since(from) },
    `Process ${follower.pid} opens the same log and has caught up after ${since(from)} ms: ${delivered} updates delivered, where ${expected} keys had changed. The other ${entries - delivered} entries came from its own disk.`,
  )
  return delivered
}

async function prefixRead(follower: FollowerProcess, teller: Teller, signal: AbortSignal): Promise<void> {
  const { keys, firstMicros, micros } = await follower.read(READ_PREFIX, signal)
  await teller.step(
    'prefixRead',
    {
      prefix: READ_PREFIX,
      entries: keys.length,
      firstMicros,
      micros,
      first: keys[0] ?? null,
      last: keys.at(-1) ?? null,
    },
    `A read of the prefix ${READ_PREFIX} in that process: ${keys.length} entries in key order, in ${micros} µs (${firstMicros} µs the first time, which puts the keys in order).`,
  )
}

async function compare(bucket: DemoBucket, foldPath: string, teller: Teller): Promise<boolean> {
  const reader = await AppendLogReader.open({ path: foldPath })
  try {
    const { compared, missing, extra, different } = await compareFold(
      { fold: reader, bucket: bucket.reader, prefixes: [''], isSkipped: () => false },
      {
        onDifference: async () => undefined,
        onProgress: (count) => teller.meanwhile(() => `${count} compared`),
      },
    )
    const equal = missing + extra + different === 0
    await teller.step(
      'compare',
      { equal, compared, missing, extra, different },
      equal
        ? `Compared with the bucket, key by key: ${compared} entries, no difference.`
        : `Compared with the bucket: ${missing} missing, ${extra} extra, ${different} different. That is a bug.`,
    )
    return equal
  } finally {
    await reader.close()
  }
}

async function durableRevision(foldPath: string): Promise<bigint> {
  const reader = await AppendLogReader.open({ path: foldPath })
  try {
    return reader.cursor.revision ?? 0n
  } finally {
    await reader.close()
  }
}

/** `count` numbers of existing routes, spread over all of them, from `start` on. */
function* numbers(start: number, count: number): Generator<number> {
  for (let i = start; i < start + count; i++) yield (i * 7_919) % KEYS
}

function since(from: number): number {
  return Math.round(performance.now() - from)
}

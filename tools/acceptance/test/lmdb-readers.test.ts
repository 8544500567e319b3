import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ComputedHistory, countFrom } from '@slip/acceptance'
import { WatchCursor } from '@slip/kv-core'
import { LmdbSnapshot } from '@slip/store-lmdb'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const READERS_MS = countFrom('SLIP_READERS_MS', 10_000)
const READERS = 4
const KEYS = 50_000
const PAGE_BYTES = 4_096
/** A page of data and one of deleted keys for each update, and as many above them: more than any commit replaces. */
const PAGES_PER_UPDATE = 4
const PINNED_COMMITS = 400
/** Of growth, after which the writer looks for readers that died. */
const LOOKS_AFTER_BYTES = 16 * 1024 * 1024

interface Said {
  readonly reads: number
  readonly refreshes: number
  readonly commits: number
  /** How many commits were made at most while it looked at one. */
  readonly mostBehind: number
  readonly wrong: readonly string[]
}

describe(`${READERS} processes read a fold in LMDB as fast as they can beside a writer that does too`, () => {
  const history = new ComputedHistory(KEYS)
  let directory: string
  let path: string
  let store: LmdbSnapshot
  let revision: number

  const commit = async (): Promise<void> => {
    await store.apply(history.batch(revision + 1), WatchCursor.fromRevision(BigInt(revision + 1)))
    revision++
  }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'slip-readers-'))
    path = join(directory, 'fold')
    store = await LmdbSnapshot.open({ path, durability: 'os' })
    revision = 0
    // Twice, so that there is a free page for every page in use.
    while (revision < 2 * history.whole) await commit()
  }, 300_000)

  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })

  test(
    `for ${READERS_MS} ms: every read is that of its cursor, no cursor goes back, the file stops growing`,
    { timeout: 240_000 + READERS_MS },
    async () => {
      const filledBytes = store.stats.bytes
      const readers = await Promise.all(Array.from({ length: READERS }, async () => await start(path)))
      const [from, startedAt] = [revision, performance.now()]
      while (performance.now() < startedAt + READERS_MS) await commit()
      const seconds = (performance.now() - startedAt) / 1000
      const all = await Promise.all(readers.map(async (reader) => await stopped(reader)))
      const { bytes } = store.stats
      const mostBehind = Math.max(...all.map((said) => said.mostBehind))
      const commits = revision - from
      const perSecond = (count: number): string => `${Math.round(count / seconds)}/s`
      console.log(
        [
          `${READERS} readers beside a writer, ${seconds.toFixed(0)} s: ${perSecond(commits)} commits of ${history.batchSize} updates, ${perSecond(commits * history.batchSize)} updates`,
          ...all.map(
            (said) =>
              `  ${perSecond(said.reads)} reads checked, ${perSecond(said.refreshes)} refreshes, ${said.commits} commits seen, at most ${said.mostBehind} behind`,
          ),
          `  the file went from ${mb(filledBytes)} to ${mb(bytes)}`,
        ].join('\n'),
      )
      for (const said of all) {
        expect(said.wrong).toEqual([])
        expect(said.commits).toBeGreaterThan(READERS_MS / 1000)
      }
      // A commit may not reuse what a reader still sees: that many commits' pages, and no more, are beside the fold.
      expect(bytes).toBeLessThan(2 * filledBytes + (mostBehind + 2) * mostBytesPerCommit(history))
    },
  )

  test(
    'a reader that is killed while it looks at an old commit is found by the writer, and the growth ends',
    { timeout: 240_000 },
    async () => {
      const grown = async (): Promise<number> => {
        const before = store.stats.bytes
        for (let i = 0; i < PINNED_COMMITS; i++) await commit()
        return store.stats.bytes - before
      }
      const free = await grown()
      const reader = await start(path, 'pin')
      const pinned = await grown()
      reader.kill('SIGKILL')
      await once(reader, 'exit')
      const untilFound = await grown()
      const after = await grown()
      console.log(
        `${PINNED_COMMITS} commits let the file grow by ${mb(free)} without a reader, ${mb(pinned)} under one that stands still, ${mb(untilFound)} once it was killed, ${mb(after)} after that`,
      )
      expect(pinned).toBeGreaterThan(2 * LOOKS_AFTER_BYTES)
      expect(untilFound).toBeLessThan(LOOKS_AFTER_BYTES + 2 * mostBytesPerCommit(history))
      expect(after).toBeLessThan(pinned / 10)
    },
  )
})

function mostBytesPerCommit({ batchSize }: ComputedHistory): number {
  return batchSize * PAGES_PER_UPDATE * PAGE_BYTES
}

async function start(path: string, mode = 'run'): Promise<ChildProcess> {
  const program = fileURLToPath(new URL('readers/reader.mjs', import.meta.url))
  const reader = fork(program, [path, String(KEYS), mode])
  await once(reader, 'message')
  return reader
}

async function stopped(reader: ChildProcess): Promise<Said> {
  const answer = once(reader, 'message') as Promise<[{ readonly said: Said }]>
  reader.send('stop')
  const [{ said }] = await answer
  return said
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { countFrom, RawJetStream } from '@slip/acceptance'
import { NatsConnection, type NatsStore } from '@slip/nats'
import { natsServerOrSkip, startNatsServer, type NatsServer } from '@slip/nats-server'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  AnonymousPeak,
  Content,
  fill,
  ReaderElsewhere,
  rebuild,
  reset,
  type Rebuilt,
} from './rebuild/rebuilding.ts'

const KEYS = countFrom('SLIP_REBUILT_KEYS', 200_000)
const CONTENT = new Content(KEYS)
const BESIDES_BYTES = 200e6
/**
 * A rebuild in LMDB. Few keys are so large that all of them, or their names alone (100 MB), would show; what so
 * short a run takes besides changes with how busy the machine is.
 */
const LMDB =
  KEYS < 1_000_000
    ? { node: ['--max-semi-space-size=1'], besidesBytes: 265e6 }
    : { node: [], besidesBytes: BESIDES_BYTES }
const BUCKET = 'rebuilt'
const TIMEOUT_MS = 120_000 + KEYS
const { skip } = await natsServerOrSkip('2.12')

describe.skipIf(skip || process.platform !== 'linux')(`of ${KEYS} keys`, () => {
  let server: NatsServer
  let connection: NatsConnection
  let bucket: NatsStore
  let raw: RawJetStream
  let directory: string
  /** Asked until it is answered: with millions of keys a busy server takes its time. */
  const vanish = async (): Promise<unknown> => {
    for (;;)
      try {
        return await raw.api(`STREAM.PURGE.KV_${BUCKET}`, { filter: `$KV.${BUCKET}.${CONTENT.leaving}` })
      } catch (error) {
        if (!(error instanceof Error && error.name === 'TimeoutError')) throw error
      }
  }

  beforeAll(async () => {
    server = await startNatsServer({ version: '2.12' })
    connection = await NatsConnection.connect({ servers: server.url })
    bucket = await connection.store(BUCKET, { history: 1 })
    raw = await RawJetStream.connect(server.url)
    directory = await mkdtemp(join(tmpdir(), 'slip-acceptance-'))
    await fill(bucket, CONTENT)
  }, TIMEOUT_MS)

  beforeEach(async () => {
    await reset(bucket, CONTENT)
  })

  afterAll(async () => {
    await raw[Symbol.asyncDispose]()
    await connection[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  test(
    'a rebuild holds the new fold beside the old one and no set of keys; readers see the old one until the swap',
    { timeout: TIMEOUT_MS },
    async () => {
      const path = join(directory, 'fold.slip')
      const rebuilt = await rebuild({ bucket, content: CONTENT, servers: server.url, path }, 'append log', {
        vanish,
      })
      const { base, before, peak, after } = rebuilt
      const besides = peak - before - (before - base)
      report(
        'an append log',
        rebuilt,
        `the fold takes ${mb(before - base)}; while it was built anew at most ${mb(peak - before)} more, ${mb(besides)} besides a second fold; ${mb(after - base)} afterwards`,
      )
      mustBeRebuilt(rebuilt)
      expect(besides).toBeLessThan(BESIDES_BYTES)
    },
  )

  test(
    'a rebuild in LMDB holds neither fold in memory; readers in other processes see the old one until the swap',
    { timeout: 2 * TIMEOUT_MS },
    async () => {
      const path = join(directory, 'fold.lmdb')
      let elsewhere: ReaderElsewhere | undefined
      let anonymous: AnonymousPeak | undefined
      const rebuilt = await rebuild({ bucket, content: CONTENT, servers: server.url, path }, 'LMDB', {
        node: LMDB.node,
        ready: async (follower) => {
          elsewhere = await ReaderElsewhere.start(path, CONTENT)
          anonymous = new AnonymousPeak(follower.pid!)
        },
        rebuilding: () => elsewhere!.rebuilding(),
        vanish,
      })
      const { base, before, after, filled } = rebuilt
      const above = anonymous!.stop() - before
      const seen = await elsewhere!.seen()
      report(
        'LMDB',
        rebuilt,
        `anonymous memory ${mb(base)} without a fold, ${mb(before)} with it, at most ${mb(above)} more while it was built anew, which is ${mb(above + before - filled.peak)} more than while it was filled, ${mb(after)} afterwards; files of ${await sizesIn(path)}; ${seen.duringRebuild} looks from another process`,
      )
      mustBeRebuilt(rebuilt)
      expect(seen).toMatchObject({ mixed: 0, back: 0 })
      expect(seen.duringRebuild).toBeGreaterThan(0)
      expect(above).toBeLessThan(LMDB.besidesBytes)
    },
  )
})

function mustBeRebuilt({ entries, states, seen }: Rebuilt): void {
  expect(entries).toBe(KEYS - 1)
  // A session that breaks on a busy machine is followed by another, which goes on with the same rebuild.
  const reasons = states.flatMap(({ state, reason }) => (state === 'resyncing' ? [reason] : []))
  expect(new Set(reasons)).toEqual(new Set(['countMismatch']))
  expect(seen).toMatchObject({ mixed: 0, back: 0 })
  expect(seen.duringRebuild).toBeGreaterThan(0)
}

function report(store: string, { entries, seen, filled, rebuiltMs }: Rebuilt, memory: string): void {
  const rate = (ms: number): string => `${(ms / 1000).toFixed(1)} s (${Math.round(entries / ms)}k keys a s)`
  console.log(
    `rebuild of ${entries} keys in ${store}: ${memory}; filled in ${rate(filled.hydratedMs)}, built anew in ${rate(rebuiltMs)}; a reader in the follower's process was late by ${Math.round(seen.longestTurnMs)} ms at most, ${seen.duringRebuild} looks at the old fold meanwhile`,
  )
}

async function sizesIn(directory: string): Promise<string> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.mdb'))
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size))
  return sizes.map(mb).join(' and ')
}

function mb(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportSnapshot, directoryObjects, fromArtifact, publishArtifact } from '@slip/export'
import {
  follow,
  type Follower,
  type FollowOptions,
  type KvEntry,
  type SnapshotLocation,
  type StoreConfig,
} from '@slip/kv-core'
import { natsBucket, NatsConnection, type NatsStore } from '@slip/nats'
import { natsServerOrSkip, startNatsServer, type NatsServer } from '@slip/nats-server'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'

const VERSIONS = ['2.10', '2.12', '2.15'] as const
const WITHIN = { timeoutMs: 60_000 }
/** Holds the last 40 or so of the messages that are written here. */
const SMALL: StoreConfig = { maxBytes: 8_000, discard: 'old' }

const STORES = [
  ['a log', 'a log', appendLog, appendLog],
  ['LMDB', 'LMDB', lmdb, lmdb],
  ['a log', 'LMDB', appendLog, lmdb],
] as const

type Settings = Omit<FollowOptions, 'source' | 'store'>

describe.each(VERSIONS)('nats-server %s', async (version) => {
  const { skip } = await natsServerOrSkip(version)
  describe.skipIf(skip)('with another node to start from', () => {
    let server: NatsServer
    let connection: NatsConnection
    let buckets = 0

    beforeAll(async () => {
      server = await startNatsServer({ version })
      connection = await NatsConnection.connect({ servers: server.url })
    })

    afterAll(async () => {
      await connection[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    })

    const scratch = async (): Promise<string> => {
      const directory = await mkdtemp(join(tmpdir(), 'slip-from-artifact-'))
      onTestFinished(() => rm(directory, { recursive: true, force: true }))
      return directory
    }

    const bucket = (config: StoreConfig): Promise<NatsStore> =>
      connection.store(`bucket-${++buckets}`, config)

    const followed = async (
      { name }: NatsStore,
      store: SnapshotLocation,
      settings: Settings = {},
    ): Promise<Follower> => {
      const source = natsBucket(name, { servers: server.url })
      const follower = await follow({ source, store, auditIntervalMs: 250, ...settings })
      onTestFinished(() => follower.close())
      return follower
    }

    const published = async (follower: Follower, directory: string, name: string): Promise<bigint> => {
      const artifact = join(directory, `artifact-${follower.cursor.revision}`)
      const { cursor } = await exportSnapshot(follower.store, artifact)
      const to = directoryObjects(join(directory, 'objects'))
      expect((await publishArtifact(artifact, to, name)).outcome).toBe('published')
      return cursor.revision!
    }

    test.each(STORES)(
      'a fold in %s that is published under churn starts one in %s, which is delivered exactly the tail',
      { timeout: 120_000 },
      async (_from, _to, from, to) => {
        const store = await bucket({ history: 1 })
        const { name, writer } = store
        const directory = await scratch()
        const first = await followed(store, from({ path: join(directory, 'first') }))
        const over = new AbortController()
        const churn = (async () => {
          for (let i = 0; !over.signal.aborted; i++)
            if (i % 7 === 3) await writer.delete(`key.${i % 200}`)
            else await writer.put(`key.${(i * 31) % 300}`, `${i}`)
        })()
        await first.waitFor(500n, WITHIN)
        const cut = await published(first, directory, name)
        await first.waitFor(cut + 200n, WITHIN)
        over.abort()
        await churn
        let last = 0n
        for (let i = 0; i < 10; i++) last = (await writer.put(`tail.${i}`, `${i}`)).revision!
        await first.waitFor(last, WITHIN)

        const objects = directoryObjects(join(directory, 'objects'))
        const second = await followed(store, to({ path: join(directory, 'second') }), {
          bootstrap: fromArtifact(objects, name),
        })
        await second.caughtUp(WITHIN)
        await second.waitFor(last, WITHIN)
        expect(shown(second)).toEqual(shown(first))
        const deleted = [...(first.store.deletedKeys?.() ?? [])]
        const tail = [...first.entries(), ...deleted].filter(({ version }) => version.revision! > cut)
        expect(second.status).toMatchObject({ delivered: tail.length, relisted: 0 })
        expect(tail.length).toBeGreaterThan(10)
      },
    )

    test.each(STORES)(
      'a fold in %s that is far behind goes on from one in %s, and is delivered what comes after that',
      { timeout: 120_000 },
      async (_from, _to, from, to) => {
        const store = await bucket({ history: 1 })
        const { name, writer } = store
        const directory = await scratch()
        const put = async (begin: number, end: number, value: string): Promise<bigint> => {
          const keys = Array.from({ length: end - begin }, (_, i) => `key.${begin + i}`)
          const written = await Promise.all(keys.map((key) => writer.put(key, value)))
          return written.reduce((last, { revision }) => (revision! > last ? revision! : last), 0n)
        }
        const first = await followed(store, to({ path: join(directory, 'first') }))
        const behind = await followed(store, from({ path: join(directory, 'behind') }))
        const begun = await put(0, 1_000, 'old')
        await Promise.all([first.waitFor(begun, WITHIN), behind.waitFor(begun, WITHIN)])
        await behind.close()
        for (let i = 0; i < 100; i++) await writer.delete(`key.${i}`)
        await first.waitFor(await put(500, 2_000, 'new'), WITHIN)
        await published(first, directory, name)
        await first.waitFor(await put(0, 50, 'tail'), WITHIN)

        const told = new Map<string, string>()
        const seen = new Set<boolean>()
        const reasons: (string | undefined)[] = []
        let fetched!: () => void
        const isFetched = new Promise<void>((resolve) => (fetched = resolve))
        const bootstrap = fromArtifact(directoryObjects(join(directory, 'objects')), name)
        const again: Follower = await followed(store, from({ path: join(directory, 'behind') }), {
          bootstrap: async (...asked) => {
            const got = await bootstrap(...asked)
            fetched()
            return got
          },
          bootstrapBehind: 500,
          batch: { maxCount: 64 },
          apply: async (updates, { phase }) => {
            for (const update of updates)
              if (update.operation === 'put') told.set(update.key, Buffer.from(update.value).toString())
              else told.set(update.key, update.operation)
            if (phase === 'resync') seen.add(again.has('key.1999'))
            // The artifact is there first.
            else await isFetched
          },
        })
        again.onStatus(({ reason }) => reasons.push(reason))
        await again.caughtUp(WITHIN)
        await again.waitFor(first.cursor.revision!, WITHIN)
        expect(reasons).toEqual(expect.arrayContaining(['artifactFetched', 'behindArtifact']))
        expect(again.status.bootstrapError).toBeUndefined()
        expect(shown(again)).toEqual(shown(first))
        // Until the swap the fold is the old one.
        expect(seen).toEqual(new Set([false]))
        const { delivered, relisted } = again.status
        // What the source had yielded by then, a thousand at most, was taken to its end.
        expect(relisted).toBeGreaterThan(400)
        expect(delivered).toBeLessThan(1_200)
        const differing = [...first.entries()].filter(({ version }) => version.revision! > begun)
        expect(new Map([...told].filter(([, value]) => value !== 'delete'))).toEqual(
          new Map(differing.map(({ key, value }) => [key, Buffer.from(value).toString()])),
        )
        expect(
          [...told]
            .filter(([, value]) => value === 'delete')
            .map(([key]) => key)
            .sort(),
        ).toEqual(Array.from({ length: 50 }, (_, i) => `key.${50 + i}`).sort())
      },
    )

    test.each(STORES)(
      'a replica of record in %s that fell behind is repaired from one in %s, and goes on',
      { timeout: 120_000 },
      async (_from, _to, from, to) => {
        const store = await bucket(SMALL)
        const { name, writer } = store
        const directory = await scratch()
        const keep = { whenEvicted: 'keep' } as const
        const put = async (begin: number, end: number): Promise<bigint> => {
          let last = 0n
          for (let i = begin; i < end; i++) last = (await writer.put(`key.${i}`, 'x'.repeat(100))).revision!
          return last
        }
        const first = await followed(store, to({ path: join(directory, 'first') }), keep)
        const behind = await followed(store, from({ path: join(directory, 'behind') }), keep)
        const begun = await put(0, 20)
        await Promise.all([first.waitFor(begun, WITHIN), behind.waitFor(begun, WITHIN)])
        await behind.close()
        await writer.delete('key.3')
        await first.waitFor(await put(20, 120), WITHIN)
        const cut = await published(first, directory, name)
        await first.waitFor(await put(120, 130), WITHIN)

        const objects = directoryObjects(join(directory, 'objects'))
        const settings = { ...keep, bootstrap: fromArtifact(objects, name) }
        const removed: string[] = []
        const again = await followed(store, from({ path: join(directory, 'behind') }), {
          ...settings,
          apply: (updates) => {
            for (const { operation, key } of updates) if (operation !== 'put') removed.push(key)
          },
        })
        await again.waitFor(first.cursor.revision!, WITHIN)
        expect(shown(again)).toEqual(shown(first))
        expect(again.has('key.0') && !again.has('key.3')).toBe(true)
        expect(removed).toEqual(['key.3'])
        expect(again.status).toMatchObject({ delivered: 10, relisted: Number(cut) - 21 + 1 })
        const last = await put(130, 135)
        await again.waitFor(last, WITHIN)
        expect(again.has('key.134')).toBe(true)
      },
    )
  })
})

function shown(follower: Follower): string[] {
  return [...follower.entries()].map(
    ({ key, value, version }: KvEntry) => `${key} ${version.revision} ${Buffer.from(value).toString()}`,
  )
}

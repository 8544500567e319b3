import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeLineage, KvError, type KvStore, type ObjectStore, type SnapshotStore } from '@slip/kv-core'
import {
  directoryObjects,
  downloadArtifact,
  ExportLease,
  importSnapshot,
  runExportRound,
  type ExportRoundOptions,
} from '@slip/export'
import { MemoryConnection } from '@slip/memory'
import { appendLog } from '@slip/store-applog'
import { expect, onTestFinished, test, vi } from 'vitest'
import { LINEAGE } from './folds.ts'
import { namesIn, overStore } from './remote.ts'
import { at, put, scratch } from './scratch.ts'

interface Node {
  readonly fold: SnapshotStore
  readonly scratchDirectory: string
  readonly round: (changes?: Partial<ExportRoundOptions>, ttlMs?: number) => ReturnType<typeof runExportRound>
}

async function fleet(): Promise<{
  readonly bucket: KvStore
  readonly to: ObjectStore
  readonly node: (name: string, revision: number) => Promise<Node>
}> {
  const bucket = await new MemoryConnection().store('leases', {})
  const to = directoryObjects(await scratch())
  return {
    bucket,
    to,
    node: async (holderId, revision) => {
      const fold = await appendLog({ path: join(await scratch(), 'fold') }).open()
      onTestFinished(() => fold.close())
      await fold.apply([put('route.key', `at ${revision}`, revision)], at(revision), { lineage: LINEAGE })
      const scratchDirectory = await scratch()
      return {
        fold,
        scratchDirectory,
        round: (changes = {}, ttlMs = 600_000) =>
          runExportRound({
            store: fold,
            lease: { bucket, key: 'lease', holderId, ttlMs },
            to,
            name: 'routes',
            scratchDirectory,
            ...changes,
          }),
      }
    },
  }
}

async function published(to: ObjectStore): Promise<bigint | undefined> {
  return (await downloadArtifact(to, 'routes', join(await scratch(), 'artifact')))?.cursor.revision
}

test('two rounds at once: one node exports, and the lease says what; nothing is left in scratch', async () => {
  const { bucket, to, node } = await fleet()
  const nodes = [await node('a', 5), await node('b', 5)]
  const manifests = await Promise.all(nodes.map((each) => each.round()))
  expect(manifests.filter((each) => each !== undefined)).toHaveLength(1)
  expect(await published(to)).toBe(5n)
  const lease = await ExportLease.current(bucket, 'lease')
  expect(lease?.completedCursor?.revision).toBe(5n)
  expect(lease?.holderId).toBe(manifests[0] === undefined ? 'b' : 'a')
  for (const each of nodes) expect(await readdir(each.scratchDirectory)).toEqual([])
  const directory = join(await scratch(), 'artifact')
  await downloadArtifact(to, 'routes', directory)
  const into = appendLog({ path: join(await scratch(), 'new') })
  expect(await importSnapshot(directory, into)).toMatchObject({ entries: 1 })
})

test('a round that fails leaves no lease, no artifact and no scratch', async () => {
  const { bucket, to, node } = await fleet()
  const [a, b] = [await node('a', 5), await node('b', 6)]
  const broken = overStore(to, {
    put: async (name, body, options) => {
      if (name.endsWith('.tar')) throw new KvError('Unreachable', 'gone')
      return to.put(name, body, options)
    },
  })
  await expect(a.round({ to: broken })).rejects.toMatchObject({ code: 'Unreachable' })
  expect(await readdir(a.scratchDirectory)).toEqual([])
  expect(await ExportLease.current(bucket, 'lease')).toBeUndefined()
  expect(await b.round()).toMatchObject({ schemaVersion: 101 })
  expect(await published(to)).toBe(6n)
  const c = await node('c', 9)
  await c.fold.close()
  const later = Date.now() + 700_000
  vi.spyOn(Date, 'now').mockReturnValue(later)
  await expect(c.round()).rejects.toMatchObject({ code: 'Closed' })
  vi.restoreAllMocks()
  expect(await ExportLease.current(bucket, 'lease')).toBeUndefined()
})

test('an abort ends a round and gives the lease back', async () => {
  const { bucket, to, node } = await fleet()
  const a = await node('a', 5)
  const stop = new AbortController()
  const reason = new Error('enough')
  const aborting = overStore(to, {
    get: (name, options) => {
      stop.abort(reason)
      return to.get(name, options)
    },
  })
  await expect(a.round({ to: aborting, signal: stop.signal })).rejects.toBe(reason)
  expect(await ExportLease.current(bucket, 'lease')).toBeUndefined()
  expect(await readdir(a.scratchDirectory)).toEqual([])
})

test('a slow node whose lease ended neither clobbers the artifact nor the lease of the next one', async () => {
  const { bucket, to, node } = await fleet()
  const [slow, quick] = [await node('slow', 5), await node('quick', 8)]
  let arrived = (): void => undefined
  let resume = (): void => undefined
  const uploading = new Promise<void>((resolve) => (arrived = resolve))
  const resumed = new Promise<void>((resolve) => (resume = resolve))
  const stalled = overStore(to, {
    put: async (name, body, options) => {
      if (name.endsWith('.tar')) {
        arrived()
        await resumed
      }
      return to.put(name, body, options)
    },
  })
  const outcomes: string[] = []
  const late = slow.round({ to: stalled, onPublished: ({ outcome }) => outcomes.push(outcome) }, 1000)
  await uploading
  await vi.waitFor(async () => expect(await quick.round()).toBeDefined(), { timeout: 30_000, interval: 200 })
  resume()
  expect((await late)?.cursor.revision).toBe(5n)
  expect(outcomes).toEqual(['superseded'])
  expect(await published(to)).toBe(8n)
  expect(await ExportLease.current(bucket, 'lease')).toMatchObject({ holderId: 'quick' })
  expect((await ExportLease.current(bucket, 'lease'))?.completedCursor?.revision).toBe(8n)
})

test('a node whose fold is what is published exports nothing, where it may', async () => {
  const { bucket, to, node } = await fleet()
  const published = await (await node('a', 5)).round()
  const unwritten = overStore(to, {
    put: async () => {
      throw new KvError('PermissionDenied', 'nothing is written')
    },
  })
  let rounds = 0
  const round = async (
    revision: number,
    changes: Partial<ExportRoundOptions>,
  ): Promise<readonly unknown[]> => {
    const b = await node('b', revision)
    const told: unknown[] = []
    const lease = { bucket, key: `another-${++rounds}`, holderId: 'b', ttlMs: 600_000 }
    const onUnchanged = (artifact: unknown): unknown => told.push(artifact)
    const ended = b.round({ to: unwritten, lease, onUnchanged, ...changes })
    return [await ended.catch((error: unknown) => error), ...told]
  }
  const refreshMs = 600_000
  const [manifest, unchanged] = await round(5, { refreshMs })
  expect(manifest).toEqual(published)
  expect(unchanged).toMatchObject({ manifest, pointer: 'routes.manifest.json' })
  expect(await namesIn(to)).toContain((unchanged as { readonly payload: string }).payload)
  expect((await ExportLease.current(bucket, 'another-1'))?.completedCursor?.revision).toBe(5n)
  const refused = [expect.objectContaining({ code: 'PermissionDenied' })]
  expect(await round(5, {})).toEqual(refused)
  expect(await round(6, { refreshMs })).toEqual(refused)
  expect(await round(5, { refreshMs, interchange: 1 })).toEqual(refused)
  const over = { incarnation: 'another', lastRevision: 5n }
  expect(await round(5, { refreshMs, source: async () => over })).toEqual(refused)
})

test('what fails beside a round is told and does not fail it', async () => {
  const { to, node } = await fleet()
  const a = await node('a', 5)
  const troubles: string[] = []
  const unlisted = overStore(to, {
    list: () => {
      throw new KvError('PermissionDenied', 'no listings')
    },
  })
  const manifest = await a.round({ to: unlisted, onTrouble: (step) => troubles.push(step) })
  expect(manifest?.cursor.revision).toBe(5n)
  expect(troubles).toEqual(['prune'])
  expect(await namesIn(to)).toHaveLength(4)
})

test('a round does not publish an interchange artifact of a history that is over, though the artifact does not state it', async () => {
  const { to, node } = await fleet()
  const old = await node('a', 9)
  const over = { incarnation: '2026-02-03T04:05:06.7Z', lastRevision: 100n }
  await expect(old.round({ interchange: 1, source: async () => over })).rejects.toMatchObject({
    code: 'ArtifactInvalid',
  })
  expect(await namesIn(to)).toEqual([])
  const still = { incarnation: decodeLineage(LINEAGE).binding.incarnation!, lastRevision: 100n }
  expect(await old.round({ interchange: 1, source: async () => still })).toMatchObject({ schemaVersion: 1 })
  expect(await published(to)).toBe(9n)
})

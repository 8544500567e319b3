import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KvError, WatchCursor, type ObjectStore } from '@slip/kv-core'
import {
  directoryObjects,
  downloadArtifact,
  probeObjectStore,
  pruneArtifacts,
  publishArtifact,
  readManifest,
} from '@slip/export'
import { expect, test, vi } from 'vitest'
import { INTEROP } from './interop.ts'
import { artifactAt, namesIn, overStore } from './remote.ts'
import { scratch } from './scratch.ts'

const [EARLIER, LATER] = ['2026-01-02T03:04:05.1Z', '2026-01-02T03:04:05.2Z']

async function newest(store: ObjectStore, name = 'routes'): Promise<bigint | undefined> {
  const manifest = await downloadArtifact(store, name, join(await scratch(), 'down'))
  return manifest?.cursor.revision
}

test('what the Rust system published is downloaded, and published anew under the same names', async () => {
  const theirs = directoryObjects(join(INTEROP, 'remote'))
  for (const [name, revision] of [
    ['cell/latest', 860_329n],
    ['cell/latest-scoped', 860_329n],
    ['memo', 860_329n],
    ['stamp', undefined],
    ['none', undefined],
  ] as const) {
    const directory = join(await scratch(), 'artifact')
    const manifest = await downloadArtifact(theirs, name, directory)
    expect(manifest?.cursor.revision).toBe(revision)
    const ours = directoryObjects(await scratch())
    const published = await publishArtifact(directory, ours, name)
    expect(published.outcome).toBe('published')
    const names = (await namesIn(theirs)).filter(
      (each) => each === `${name}.manifest.json` || each.startsWith(`${name}.payloads/`),
    )
    expect(await namesIn(ours)).toEqual(names)
    expect(published.sentBytes).toBe(published.bytes)
    const again = join(await scratch(), 'again')
    await downloadArtifact(ours, name, again)
    for (const file of ['MANIFEST.json', 'data/fold.snap'])
      expect(await readFile(join(again, file))).toEqual(await readFile(join(directory, file)))
  }
})

test('the pointer goes forward only; equals replace each other; the same artifact is sent once', async () => {
  const store = directoryObjects(await scratch())
  const [five, three, other] = [
    await artifactAt(5),
    await artifactAt(3),
    await artifactAt(5, { value: 'other' }),
  ]
  expect(await publishArtifact(five.directory, store, 'routes')).toMatchObject({ outcome: 'published' })
  expect(await publishArtifact(three.directory, store, 'routes')).toMatchObject({
    outcome: 'superseded',
    sentBytes: 0,
  })
  expect(await newest(store)).toBe(5n)
  expect(await publishArtifact(five.directory, store, 'routes')).toMatchObject({
    outcome: 'published',
    sentBytes: 0,
  })
  expect(await publishArtifact(other.directory, store, 'routes')).toMatchObject({ outcome: 'published' })
  const pointer = await readFile(join(other.directory, 'MANIFEST.json'))
  const found = await store.get('routes.manifest.json')
  for await (const piece of found!.body) expect(Buffer.from(piece)).toEqual(pointer)
})

test('many who publish at once: the pointer is the newest and resolves', async () => {
  const directory = await scratch()
  const artifacts = await Promise.all([4, 2, 6, 1, 5, 3].map((revision) => artifactAt(revision)))
  const outcomes = await Promise.all(
    artifacts.map((each) => publishArtifact(each.directory, directoryObjects(directory), 'routes')),
  )
  expect(outcomes[2]!.outcome).toBe('published')
  expect(await newest(directoryObjects(directory))).toBe(6n)
})

test('after a bucket is recreated publishing works again, and nobody publishes the old history over it', async () => {
  const store = directoryObjects(await scratch())
  const old = await artifactAt(900, { binding: { incarnation: EARLIER } })
  const older = await artifactAt(901, { binding: { incarnation: EARLIER } })
  const young = await artifactAt(2, { binding: { incarnation: LATER } })
  await publishArtifact(old.directory, store, 'routes')
  expect((await publishArtifact(young.directory, store, 'routes')).outcome).toBe('published')
  expect((await publishArtifact(older.directory, store, 'routes')).outcome).toBe('superseded')
  expect(await newest(store)).toBe(2n)
  expect(await pruneArtifacts(store, 'routes', { graceMs: 0 })).toBe(1)
  expect(await newest(store)).toBe(2n)
})

test('histories without a time are told apart by the source, and without one not at all', async () => {
  const store = directoryObjects(await scratch())
  const old = await artifactAt(900, { binding: { incarnation: 'one' } })
  const young = await artifactAt(2, { binding: { incarnation: 'two' } })
  const source = async (): Promise<{ incarnation: string }> => ({ incarnation: 'two' })
  await publishArtifact(old.directory, store, 'routes')
  await expect(publishArtifact(young.directory, store, 'routes')).rejects.toMatchObject({
    code: 'ArtifactInvalid',
  })
  expect((await publishArtifact(young.directory, store, 'routes', { source })).outcome).toBe('published')
  await expect(publishArtifact(old.directory, store, 'routes', { source })).rejects.toMatchObject({
    code: 'ArtifactInvalid',
  })
  expect(await newest(store)).toBe(2n)
})

test('a pointer ahead of its bucket, which was put back, is replaced when the source says so; a payload that was pruned on the way is sent again', async () => {
  const honest = directoryObjects(await scratch())
  const [ahead, back] = [await artifactAt(900), await artifactAt(2)]
  await publishArtifact(ahead.directory, honest, 'routes')
  expect((await publishArtifact(back.directory, honest, 'routes')).outcome).toBe('superseded')
  const store = overStore(honest, {
    put: async (name, body, options) => {
      if (name === 'routes.manifest.json' && options?.condition !== undefined)
        expect(await pruneArtifacts(honest, 'routes', { graceMs: 0 })).toBe(1)
      return honest.put(name, body, options)
    },
  })
  const source = async (): Promise<{ lastRevision: bigint }> => ({ lastRevision: 2n })
  expect((await publishArtifact(back.directory, store, 'routes', { source })).outcome).toBe('published')
  expect(await newest(honest)).toBe(2n)
})

test('a name keeps its bucket and its family', async () => {
  const store = directoryObjects(await scratch())
  await publishArtifact((await artifactAt(5)).directory, store, 'routes')
  const elsewhere = await artifactAt(9, { binding: { name: 'others' } })
  await expect(publishArtifact(elsewhere.directory, store, 'routes')).rejects.toMatchObject({
    code: 'ForeignFold',
  })
  const interchange = await artifactAt(9, { interchange: 2 })
  await expect(publishArtifact(interchange.directory, store, 'routes')).rejects.toMatchObject({
    code: 'ForeignFold',
  })
  await publishArtifact(interchange.directory, store, 'cell/routes')
  expect(await newest(store, 'cell/routes')).toBe(9n)
  expect(await newest(store)).toBe(5n)
})

test('a pointer that nobody can read is replaced; one that is too large is left alone', async () => {
  const store = directoryObjects(await scratch())
  const { directory } = await artifactAt(5)
  await store.put('routes.manifest.json', new TextEncoder().encode('{'))
  await expect(newest(store)).rejects.toMatchObject({ code: 'ArtifactInvalid' })
  expect(await pruneArtifacts(store, 'routes', { graceMs: 0 })).toBe(0)
  expect((await publishArtifact(directory, store, 'routes')).outcome).toBe('published')
  await store.put('large.manifest.json', new Uint8Array(1024 * 1024 + 1))
  await expect(publishArtifact(directory, store, 'large')).rejects.toMatchObject({ code: 'ArtifactInvalid' })
  await expect(newest(store, 'large')).rejects.toThrow(/exceeds/)
})

test('a damaged artifact is not published, and nothing of it is visible', async () => {
  const store = directoryObjects(await scratch())
  const { directory } = await artifactAt(5)
  const path = join(directory, 'data/fold.slip')
  const bytes = await readFile(path)
  bytes[bytes.length - 3]! ^= 1
  await writeFile(path, bytes)
  await expect(publishArtifact(directory, store, 'routes')).rejects.toMatchObject({ code: 'ArtifactInvalid' })
  expect(await namesIn(store)).toEqual([])
})

test('when the pointer cannot be moved the artifact from before is served, and the next attempt sends nothing twice', async () => {
  const honest = directoryObjects(await scratch())
  await publishArtifact((await artifactAt(5)).directory, honest, 'routes')
  const next = await artifactAt(7)
  const broken = overStore(honest, {
    put: async (name, body, options) => {
      if (name.endsWith('.manifest.json')) throw new KvError('Unreachable', 'gone')
      return honest.put(name, body, options)
    },
  })
  await expect(publishArtifact(next.directory, broken, 'routes')).rejects.toMatchObject({
    code: 'Unreachable',
  })
  expect(await newest(honest)).toBe(5n)
  expect(await publishArtifact(next.directory, honest, 'routes')).toMatchObject({
    outcome: 'published',
    sentBytes: 0,
  })
  expect(await newest(honest)).toBe(7n)
})

test('a swap whose outcome is unknown is looked at', async () => {
  const honest = directoryObjects(await scratch())
  let lost = 0
  const store = overStore(honest, {
    put: async (name, body, options) => {
      const result = await honest.put(name, body, options)
      if (name.endsWith('.manifest.json') && lost++ === 0) throw new KvError('OutcomeUnknown', 'no answer')
      return result
    },
  })
  expect((await publishArtifact((await artifactAt(5)).directory, store, 'routes')).outcome).toBe('published')
  expect(lost).toBe(1)
})

test('an abort in the middle of an upload leaves nothing', async () => {
  const store = directoryObjects(await scratch())
  const { directory } = await artifactAt(5, { value: 'x'.repeat(3_000_000) })
  const stop = new AbortController()
  const reason = new Error('enough')
  const publishing = publishArtifact(directory, store, 'routes', {
    signal: stop.signal,
    onProgress: () => stop.abort(reason),
  })
  await expect(publishing).rejects.toBe(reason)
  expect(await namesIn(store)).toEqual([])
})

test('stores that ignore conditions, or have none, are refused', async () => {
  const honest = directoryObjects(await scratch())
  const { directory } = await artifactAt(5)
  const ignoring = (which: 'absent' | 'etag'): ObjectStore =>
    overStore(honest, {
      put: (name, body, { condition, ...rest } = {}) =>
        honest.put(
          name,
          body,
          (condition === 'absent') === (which === 'absent') ? rest : { ...rest, condition },
        ),
    })
  for (const store of [
    ignoring('absent'),
    ignoring('etag'),
    overStore(honest, { capabilities: { createOnly: true, compareAndSwap: false, rangeReads: true } }),
  ]) {
    await expect(publishArtifact(directory, store, 'routes')).rejects.toMatchObject({ code: 'Unsupported' })
    expect(await namesIn(honest)).toEqual([])
  }
  expect(await probeObjectStore(honest)).toEqual({ createOnly: true, compareAndSwap: true, rangeReads: true })
  expect(await probeObjectStore(ignoring('etag'))).toMatchObject({ createOnly: true, compareAndSwap: false })
  expect(await probeObjectStore(ignoring('absent'))).toMatchObject({ createOnly: false })
  const rangeless = overStore(honest, { get: (name, { signal } = {}) => honest.get(name, { signal }) })
  expect(await probeObjectStore(rangeless)).toMatchObject({ rangeReads: false })
})

test('a name that a mixed fleet would not call the same is refused', async () => {
  const store = directoryObjects(await scratch())
  const { directory } = await artifactAt(5)
  for (const name of ['', '/a', 'a/', 'a//b', '../a', 'a/../b', 'ключ', 'a#b', 'a*', 'a\\b', '.', 'a/.'])
    await expect(publishArtifact(directory, store, name)).rejects.toBeInstanceOf(TypeError)
  expect(await namesIn(store)).toEqual([])
})

test('two publishes and a prune: what was replaced within the grace stays, the published one always', async () => {
  const store = directoryObjects(await scratch())
  for (const revision of [3, 5])
    await publishArtifact((await artifactAt(revision)).directory, store, 'routes')
  const inFlight = 'routes.payloads/0000000000000009-0011223344556677.tar'
  await store.put(inFlight, new Uint8Array(3))
  await store.put('routes.payloads/unranked.tar', new Uint8Array(3))
  expect(await pruneArtifacts(store, 'routes', { graceMs: 3_600_000 })).toBe(0)
  expect(await pruneArtifacts(store, 'routes', { graceMs: 0 })).toBe(1)
  expect(await newest(store)).toBe(5n)
  expect(await namesIn(store, 'routes.payloads/')).toContain(inFlight)
  expect(await pruneArtifacts(store, 'never', { graceMs: 0 })).toBe(0)
})

test.each([-400, 400])(
  'a payload is left for those who read it by the store’s clock: that of who prunes is %i days off, and counts for nothing',
  async (days) => {
    const honest = directoryObjects(await scratch())
    const putAt = new Map<string, number>()
    const stored = { dayMs: 24 * 3_600_000, now: 0 }
    const store = overStore(honest, {
      put: async (name, body, options) => {
        putAt.set(name, stored.now)
        return honest.put(name, body, options)
      },
      list: async function* (prefix, options) {
        for await (const each of honest.list(prefix, options))
          yield { ...each, modifiedMs: putAt.get(each.name)! }
      },
    })
    const publishedAt = async (day: number, revision: number): Promise<void> => {
      stored.now = Date.UTC(2026, 0, day)
      await publishArtifact((await artifactAt(revision)).directory, store, 'routes')
    }
    const pruned = async (graceDays: number): Promise<number> => {
      const clock = vi.spyOn(Date, 'now').mockReturnValue(stored.now + days * stored.dayMs)
      try {
        return await pruneArtifacts(store, 'routes', { graceMs: graceDays * stored.dayMs })
      } finally {
        clock.mockRestore()
      }
    }
    await publishedAt(1, 3)
    await publishedAt(20, 5)
    // It was the newest one until now: somebody may just have begun to fetch it.
    expect(await pruned(1)).toBe(0)
    await publishedAt(21, 7)
    expect(await pruned(2)).toBe(0)
    expect(await pruned(1)).toBe(1)
    expect(await namesIn(store, 'routes.payloads/')).toHaveLength(2)
    await publishedAt(23, 9)
    expect(await pruned(2)).toBe(1)
    expect(await newest(store)).toBe(9n)
  },
)

test('a payload of a newer history below the pointer’s rank is not pruned: it may be about to be published', async () => {
  const store = directoryObjects(await scratch())
  const aside = directoryObjects(await scratch())
  await publishArtifact(
    (await artifactAt(900, { binding: { incarnation: EARLIER } })).directory,
    store,
    'routes',
  )
  const young = await artifactAt(2, { binding: { incarnation: LATER } })
  const { payload } = await publishArtifact(young.directory, aside, 'routes')
  const found = await aside.get(payload)
  await store.put(payload, found!.body)
  expect(await pruneArtifacts(store, 'routes', { graceMs: 0 })).toBe(0)
  expect(await publishArtifact(young.directory, store, 'routes')).toMatchObject({ sentBytes: 0 })
  expect(await newest(store)).toBe(2n)
})

test('an interchange artifact has the names and the manifest of the Rust system', async () => {
  const store = directoryObjects(await scratch())
  const { directory } = await artifactAt(5, { interchange: 1 })
  const { pointer, payload } = await publishArtifact(directory, store, 'cell/routes')
  expect(pointer).toBe('cell/routes.manifest.json')
  expect(payload).toMatch(/^cell\/routes\.payloads\/0000000000000005-[0-9a-f]{16}\.tar$/)
  expect((await readManifest(directory)).cursor.equals(WatchCursor.fromRevision(5n))).toBe(true)
})

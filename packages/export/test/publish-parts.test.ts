import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KvError, type ObjectStore } from '@slip/kv-core'
import {
  directoryObjects,
  downloadArtifact,
  fromArtifact,
  importSnapshot,
  pruneArtifacts,
  publishArtifact,
  verifyArtifact,
} from '@slip/export'
import { appendLog } from '@slip/store-applog'
import { expect, test, vi } from 'vitest'
import { whole } from './folds.ts'
import { bytesOf, filesOf, type PlainList } from './part-archives.ts'
import { ChangingFold, CountingStore, range } from './parts.ts'
import { namesIn, overStore } from './remote.ts'
import { scratch, seededRandom } from './scratch.ts'

test('one key in a hundred, wherever it is: a round sends and fetches less than a twentieth', async () => {
  const random = seededRandom('one in a hundred')
  const fold = await ChangingFold.open()
  const [keys, each] = [20_000, 200]
  await fold.change(range(1, keys + 1))
  const counting = new CountingStore(directoryObjects(await scratch()))
  const { store } = counting
  const first = await fold.export()
  await publishArtifact(first.directory, store, 'routes')
  expect(counting.taken().put).toBeGreaterThan(first.payloadBytes)
  let previous = first.directory
  for (const [what, changed] of [
    ['spread', range(0, each).map(() => 1 + random(keys))],
    ['side by side', range(7_000, 7_000 + each)],
    ['deleted', range(11_000, 11_000 + each).map((key) => -key)],
    ['new', range(keys + 1, keys + 1 + each)],
  ] as const) {
    await fold.change(changed)
    const { directory, payloadBytes } = await fold.export()
    const published = await publishArtifact(directory, store, 'routes')
    const round = counting.taken()
    expect(published.sentBytes, what).toBeLessThanOrEqual(round.put)
    const down = join(await scratch(), 'down')
    let received = 0
    const manifest = await downloadArtifact(store, 'routes', down, {
      previous,
      onProgress: ({ receivedBytes }) => (received = receivedBytes),
    })
    const fetched = counting.taken()
    const share = (bytes: number): string => `${((100 * bytes) / payloadBytes).toFixed(2)} %`
    console.log(
      `${what}: sent ${share(round.put)}, looked at ${share(round.got)}, fetched ${share(fetched.got)}`,
    )
    expect(round.put, what).toBeLessThan(payloadBytes / 20)
    expect(fetched.got, what).toBeLessThan(payloadBytes / 20)
    expect(received, what).toBeLessThanOrEqual(fetched.got)
    expect(manifest?.cursor.revision, what).toBe(fold.store.cursor.revision)
    for (const file of ['MANIFEST.json', 'data/fold.records'])
      expect((await readFile(join(down, file))).equals(await readFile(join(directory, file)))).toBe(true)
    previous = down
  }
  // Who has nothing fetches the base and all layers.
  const newcomer = join(await scratch(), 'down')
  await downloadArtifact(store, 'routes', newcomer)
  expect(counting.taken().got).toBeLessThan(1.5 * (await fold.export()).payloadBytes)
  const into = appendLog({ path: join(await scratch(), 'in') })
  await importSnapshot(newcomer, into)
  const imported = await into.open()
  expect(whole(imported)).toEqual(whole(fold.store))
  await imported.close()
  await fold.store.close()
})

async function listOf(store: ObjectStore, payload: string): Promise<PlainList> {
  return JSON.parse(
    filesOf(await bytesOf(store, payload))
      .get('PARTS.json')!
      .toString(),
  ) as PlainList
}

/** The newest artifact is the payload of this one, for who has nothing. */
async function mustResolve(store: ObjectStore, artifact: { readonly directory: string }): Promise<void> {
  const down = join(await scratch(), 'down')
  await downloadArtifact(store, 'routes', down)
  for (const file of ['MANIFEST.json', 'data/fold.records'])
    expect((await readFile(join(down, file))).equals(await readFile(join(artifact.directory, file)))).toBe(
      true,
    )
}

test('keys that leave a fold without a name leave what is published', async () => {
  const fold = await ChangingFold.open(50, 2)
  await fold.change(range(1, 500))
  const store = directoryObjects(await scratch())
  const first = await fold.export()
  await publishArtifact(first.directory, store, 'routes')
  await fold.change([-7, 8, -9])
  const second = await fold.export()
  const { sentBytes } = await publishArtifact(second.directory, store, 'routes')
  expect(sentBytes).toBeLessThan(first.payloadBytes / 5)
  await fold.change([7])
  const third = await fold.export()
  const { payload } = await publishArtifact(third.directory, store, 'routes')
  expect((await listOf(store, payload)).layers).toHaveLength(2)
  await mustResolve(store, third)
  const down = join(await scratch(), 'down')
  await downloadArtifact(store, 'routes', down, { previous: first.directory })
  expect(await verifyArtifact(down)).toMatchObject({ entries: 498 })
  await fold.store.close()
})

test('the same artifact, and the same state at the same position, are sent once', async () => {
  const fold = await ChangingFold.open()
  await fold.change(range(1, 100))
  const store = directoryObjects(await scratch())
  const first = await fold.export()
  await publishArtifact(first.directory, store, 'routes')
  expect((await publishArtifact(first.directory, store, 'routes')).sentBytes).toBe(0)
  const manifest = await readFile(join(first.directory, 'MANIFEST.json'))
  // Exported in another second it has another manifest.
  await vi.waitFor(
    async () => {
      const again = await fold.export()
      expect((await readFile(join(again.directory, 'MANIFEST.json'))).equals(manifest)).toBe(false)
      const { sentBytes, outcome } = await publishArtifact(again.directory, store, 'routes')
      expect(outcome).toBe('published')
      expect(sentBytes).toBeLessThan(5000)
      await mustResolve(store, again)
    },
    { timeout: 60_000, interval: 500 },
  )
  await fold.store.close()
})

test('layers do not become too many, nor too large', async () => {
  const fold = await ChangingFold.open(100)
  await fold.change(range(1, 1000))
  const store = directoryObjects(await scratch())
  const lengths: number[] = []
  let newest = await fold.export()
  await publishArtifact(newest.directory, store, 'routes')
  for (let round = 0; round < 35; round++) {
    await fold.change([1 + (round % 3)])
    newest = await fold.export()
    const { payload } = await publishArtifact(newest.directory, store, 'routes')
    lengths.push((await listOf(store, payload)).layers.length)
  }
  expect(lengths).toEqual([...range(1, 33), 1, 2, 3])
  await mustResolve(store, newest)
  const sizes: number[] = []
  for (let round = 0; round < 4; round++) {
    await fold.change(range(200 * round, 200 * round + 200))
    newest = await fold.export()
    const { payload } = await publishArtifact(newest.directory, store, 'routes')
    const { base, layers } = await listOf(store, payload)
    const sum = (parts: readonly { readonly size: number }[]): number =>
      parts.reduce((all, { size }) => all + size, 0)
    sizes.push(layers.length)
    expect(2 * sum(layers)).toBeLessThanOrEqual(sum(base))
  }
  // The third of them would be too much, and begins anew.
  expect(sizes).toEqual([4, 5, 0, 1])
  await mustResolve(store, newest)
  await fold.store.close()
})

test('when much has changed a new base is sent, and what only the old ones had is pruned', async () => {
  const fold = await ChangingFold.open()
  const store = directoryObjects(await scratch())
  await fold.change(range(1, 300))
  await publishArtifact((await fold.export()).directory, store, 'routes')
  await fold.change([1])
  await publishArtifact((await fold.export()).directory, store, 'routes')
  const old = await namesIn(store, 'routes.parts/')
  expect(await pruneArtifacts(store, 'routes', { graceMs: 0 })).toBe(1)
  expect(await namesIn(store, 'routes.parts/')).toEqual(old)
  await fold.change(range(1, 250))
  const newest = await fold.export()
  const { payload } = await publishArtifact(newest.directory, store, 'routes')
  const { layers } = await listOf(store, payload)
  expect(layers).toEqual([])
  expect(await pruneArtifacts(store, 'routes', { graceMs: 3_600_000 })).toBe(0)
  const ahead = `routes.parts/none/${'f'.repeat(16)}-${'0'.repeat(64)}`
  await store.put(ahead, new Uint8Array(3))
  await store.put('routes.parts/strange', new Uint8Array(3))
  expect(await pruneArtifacts(store, 'routes', { graceMs: 0 })).toBe(1)
  const left = await namesIn(store, 'routes.parts/')
  expect(left.filter((name) => old.includes(name))).toEqual([])
  expect(left).toContain(ahead)
  expect(left).toHaveLength(4)
  await mustResolve(store, newest)
  await fold.store.close()
})

test('whose base is replaced and pruned while it is laid upon lays anew', async () => {
  const [slow, quick] = [await ChangingFold.open(), await ChangingFold.open()]
  const honest = directoryObjects(await scratch())
  for (const fold of [slow, quick]) await fold.change(range(1, 300))
  await publishArtifact((await slow.export()).directory, honest, 'routes')
  for (const changed of [range(1, 280), [5]]) await quick.change(changed)
  const other = await quick.export()
  let replaced = 0
  const store = overStore(honest, {
    put: async (name, body, options) => {
      if (name.endsWith('.tar') && replaced++ === 0) {
        expect((await publishArtifact(other.directory, honest, 'routes')).outcome).toBe('published')
        expect(await pruneArtifacts(honest, 'routes', { graceMs: 0 })).toBe(1)
      }
      return honest.put(name, body, options)
    },
  })
  // Further on than the other one, by one key: a layer would do, had the base still been there.
  await slow.change(range(0, 400).map(() => 5))
  const late = await slow.export()
  expect((await publishArtifact(late.directory, store, 'routes')).outcome).toBe('published')
  expect(replaced).toBeGreaterThan(0)
  await mustResolve(honest, late)
  await pruneArtifacts(honest, 'routes', { graceMs: 0 })
  await mustResolve(honest, late)
  for (const fold of [slow, quick]) await fold.store.close()
})

test('many who publish and prune at once: the pointer always resolves', async () => {
  const folds = await Promise.all(range(0, 3).map(async () => ChangingFold.open(60)))
  const directory = await scratch()
  for (const fold of folds) await fold.change(range(1, 200))
  let [published, looked] = [0, 0]
  const over = new AbortController()
  const newcomers = (async () => {
    while (!over.signal.aborted) {
      const down = join(await scratch(), 'down')
      if ((await downloadArtifact(directoryObjects(directory), 'routes', down)) !== undefined) looked++
    }
  })()
  const work = folds.map(async (fold, i) => {
    const random = seededRandom(`fold ${i}`)
    const store = directoryObjects(directory)
    for (let round = 0; round < 12; round++) {
      await fold.change(range(0, random(5) === 0 ? 120 : 3).map(() => 1 + random(199)))
      const { outcome } = await publishArtifact((await fold.export()).directory, store, 'routes')
      if (outcome === 'published') published++
      await pruneArtifacts(store, 'routes', { graceMs: 0 })
    }
  })
  await Promise.all(work).finally(() => over.abort())
  await newcomers
  expect(published).toBeGreaterThan(3)
  expect(looked).toBeGreaterThan(0)
  const newest = join(await scratch(), 'down')
  await downloadArtifact(directoryObjects(directory), 'routes', newest)
  await verifyArtifact(newest)
  for (const fold of folds) await fold.store.close()
})

test('an upload that broke sends only the pieces that are not there; a download goes on where it ended', async () => {
  const fold = await ChangingFold.open(1024 * 1024)
  await fold.change(range(0, 70))
  const artifact = await fold.export()
  const honest = directoryObjects(await scratch())
  let puts = 0
  const breaking = overStore(honest, {
    put: async (name, body, options) => {
      if (name.startsWith('routes.parts/') && ++puts === 3) throw new KvError('Unreachable', 'gone')
      return honest.put(name, body, options)
    },
  })
  await expect(publishArtifact(artifact.directory, breaking, 'routes')).rejects.toMatchObject({
    code: 'Unreachable',
  })
  expect(await namesIn(honest, 'routes.manifest')).toEqual([])
  expect(await namesIn(honest, 'routes.parts/')).toHaveLength(2)
  const { bytes, sentBytes } = await publishArtifact(artifact.directory, honest, 'routes')
  expect(sentBytes).toBe(bytes - 64 * 1024 * 1024)
  let left = 40 * 1024 * 1024
  const cutting = overStore(honest, {
    get: async (name, options) => {
      const found = await honest.get(name, options)
      if (found === undefined || !name.startsWith('routes.parts/')) return found
      const body = async function* (): AsyncGenerator<Uint8Array> {
        for await (const piece of found.body) {
          left -= piece.length
          if (left < 0) throw new KvError('Unreachable', 'gone')
          yield piece
        }
      }
      return { ...found, body: body() }
    },
  })
  const down = join(await scratch(), 'down')
  await expect(downloadArtifact(cutting, 'routes', down)).rejects.toMatchObject({ code: 'Unreachable' })
  let received = 0
  await downloadArtifact(honest, 'routes', down, {
    onProgress: (done) => (received = done.receivedBytes),
  })
  expect(received).toBeLessThan(34 * 1024 * 1024)
  expect(await verifyArtifact(down)).toMatchObject({ entries: 70 })
  await fold.store.close()
})

test('an abort leaves nothing that is not pruned', async () => {
  const fold = await ChangingFold.open(100_000)
  await fold.change(range(0, 30))
  const first = await fold.export()
  const store = directoryObjects(await scratch())
  const stop = new AbortController()
  const reason = new Error('enough')
  const publishing = publishArtifact(first.directory, store, 'routes', {
    signal: stop.signal,
    onProgress: ({ bytes, totalBytes }) => {
      if (bytes > totalBytes - 500) stop.abort(reason)
    },
  })
  await expect(publishing).rejects.toBe(reason)
  expect(await namesIn(store, 'routes.manifest')).toEqual([])
  expect((await readdir(join(first.directory, '..'))).filter((name) => name.includes('publish-'))).toEqual([])
  await fold.change([1])
  const second = await fold.export()
  const { payload } = await publishArtifact(second.directory, store, 'routes')
  await pruneArtifacts(store, 'routes', { graceMs: 0 })
  const { base, index } = await listOf(store, payload)
  expect(await namesIn(store, 'routes.parts/')).toEqual(
    [...base, index].map(({ part }) => `routes.parts/${part}`).sort(),
  )
  await fold.store.close()
})

test('an artifact from before that is damaged, or none at all, only costs what it would have saved', async () => {
  const fold = await ChangingFold.open()
  await fold.change(range(1, 300))
  const store = directoryObjects(await scratch())
  const first = await fold.export()
  await publishArtifact(first.directory, store, 'routes')
  await fold.change([1])
  const second = await fold.export()
  await publishArtifact(second.directory, store, 'routes')
  const payload = join(first.directory, 'data/fold.records')
  const bytes = await readFile(payload)
  bytes[bytes.length - 100]! ^= 1
  await writeFile(payload, bytes)
  for (const previous of [first.directory, join(first.directory, 'nowhere'), fold.directory]) {
    const down = join(await scratch(), 'down')
    await downloadArtifact(store, 'routes', down, { previous })
    expect(
      (await readFile(join(down, 'data/fold.records'))).equals(
        await readFile(join(second.directory, 'data/fold.records')),
      ),
    ).toBe(true)
  }
  await fold.store.close()
})

test('a node that keeps what it fetched starts from the next artifact with what changed', async () => {
  const fold = await ChangingFold.open()
  await fold.change(range(1, 5000))
  const counting = new CountingStore(directoryObjects(await scratch()))
  const [keepDirectory, parent] = [await scratch(), await scratch()]
  const bootstrap = fromArtifact(counting.store, 'routes', { keepDirectory })
  const shares: number[] = []
  for (const changed of [[], range(1, 50), [-7]]) {
    await fold.change(changed)
    const { directory, payloadBytes } = await fold.export()
    await publishArtifact(directory, counting.store, 'routes')
    counting.taken()
    const into = appendLog({ path: join(parent, `fold-${shares.length}`) })
    expect(await bootstrap(into, { signal: new AbortController().signal, wanted: {} })).toBe(true)
    shares.push(counting.taken().got / payloadBytes)
    const imported = await into.open()
    expect(imported.cursor.toHex()).toBe(fold.store.cursor.toHex())
    expect(imported.stats).toMatchObject({ entries: fold.store.stats.entries })
    await imported.close()
    expect(await readdir(keepDirectory)).toEqual(['previous'])
  }
  expect(shares[0]).toBeGreaterThan(1)
  for (const share of shares.slice(1)) expect(share).toBeLessThan(0.05)
  await fold.store.close()
})

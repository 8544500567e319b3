import { createHash } from 'node:crypto'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { generateKeyPairSync } from 'node:crypto'
import { KvError, type ObjectStore } from '@slip/kv-core'
import {
  directoryObjects,
  downloadArtifact,
  importSnapshot,
  publishArtifact,
  pruneArtifacts,
  verifyArtifact,
} from '@slip/export'
import { appendLog } from '@slip/store-applog'
import { describe, expect, test, vi } from 'vitest'
import { INTEROP } from './interop.ts'
import { artifactAt, filesIn, overStore } from './remote.ts'
import { scratch } from './scratch.ts'

/** Longer than an answer may take here, and shorter than that and the shortest pause behind it. */
const LATE_MS = 420

interface Archives {
  readonly archives: Readonly<Record<string, { readonly ours: 'accept' | 'refuse' | 'either' }>>
  readonly payload_name: string
  readonly pointer: string
}

const expected = JSON.parse(await readFile(join(INTEROP, 'expected.json'), 'utf8')) as {
  readonly tar: Archives
}

describe('archives of other writers, and of attackers', () => {
  test.each(Object.entries(expected.tar.archives))('%s', async (file, { ours }) => {
    const place = await filesIn({
      'small.manifest.json': await readFile(join(INTEROP, expected.tar.pointer)),
      [`small.payloads/${expected.tar.payload_name}`]: await readFile(join(INTEROP, 'tar', file)),
    })
    const parent = await scratch()
    const directory = join(parent, 'artifact')
    const download = downloadArtifact(directoryObjects(place), 'small', directory)
    if (ours === 'refuse') await expect(download).rejects.toMatchObject({ code: 'ArtifactInvalid' })
    const taken = await download.then(
      () => true,
      (error: { code?: string }) => {
        expect(error.code).toBe('ArtifactInvalid')
        return false
      },
    )
    if (ours === 'accept') expect(taken).toBe(true)
    expect(await readdir(parent)).toEqual(taken ? ['artifact'] : [])
    if (taken) {
      expect((await readdir(directory)).sort()).toEqual(['MANIFEST.json', 'data'])
      expect((await verifyArtifact(directory)).entries).toBe(5)
    }
  })
})

const VALUE = Array.from({ length: 60_000 }, (_, i) =>
  createHash('sha256').update(`${i}`).digest('hex'),
).join('')

/** A published artifact of about 4 MB, whose store breaks as `spoil` says. */
async function published(
  spoil: (honest: ObjectStore) => ObjectStore = (store) => store,
): Promise<{ readonly honest: ObjectStore; readonly store: ObjectStore; readonly bytes: number }> {
  const honest = directoryObjects(await scratch())
  const { bytes } = await publishArtifact((await artifactAt(5, { value: VALUE })).directory, honest, 'routes')
  return { honest, store: spoil(honest), bytes }
}

/** Cuts every body of the payload behind some bytes. */
function cutting(honest: ObjectStore, behind: () => number, counted: { bytes: number }): ObjectStore {
  return overStore(honest, {
    get: async (name, options) => {
      const found = await honest.get(name, options)
      if (found === undefined || !name.endsWith('.tar')) return found
      const pieces = found.body[Symbol.asyncIterator]()
      let left = behind()
      const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
        if (left === 0) throw new KvError('Unreachable', 'the link broke')
        const { done, value } = await pieces.next()
        if (done === true) return { done, value: undefined }
        const given = value.subarray(0, left)
        counted.bytes += given.length
        left -= given.length
        return { done: false, value: given }
      }
      const end = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
        await pieces.return?.()
        return { done: true, value: undefined }
      }
      return { ...found, body: { [Symbol.asyncIterator]: () => ({ next, return: end }) } }
    },
  })
}

/** Breaks one body of a large object behind its first piece, after `first`. */
function breakingOnce(honest: ObjectStore, first: () => Promise<void>): ObjectStore {
  let isBroken = false
  return overStore(honest, {
    get: async (name, options) => {
      const found = await honest.get(name, options)
      if (found === undefined || found.size < VALUE.length / 2 || isBroken) return found
      isBroken = true
      const broken = async function* (): AsyncGenerator<Uint8Array> {
        for await (const piece of found.body) {
          yield piece
          break
        }
        await first()
        throw new KvError('Unreachable', 'the link broke')
      }
      return { ...found, body: broken() }
    },
  })
}

test('nothing published is undefined, and leaves nothing', async () => {
  const parent = await scratch()
  const store = directoryObjects(await scratch())
  expect(await downloadArtifact(store, 'routes', join(parent, 'artifact'))).toBeUndefined()
  expect(await readdir(parent)).toEqual([])
})

test('a link that breaks again and again is taken up where it ended', async () => {
  const counted = { bytes: 0 }
  const { store, bytes } = await published((honest) => cutting(honest, () => 300_000, counted))
  const directory = join(await scratch(), 'artifact')
  const seen: number[] = []
  await downloadArtifact(store, 'routes', directory, { onProgress: (done) => seen.push(done.bytes) })
  expect(await verifyArtifact(directory)).toMatchObject({ entries: 1 })
  expect(counted.bytes).toBeLessThanOrEqual(bytes)
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
})

test('without range reads it is read again from the start, and passed over', async () => {
  let allowed = 0
  const counted = { bytes: 0 }
  const { store } = await published((honest) => {
    const rangeless = overStore(honest, {
      capabilities: { ...honest.capabilities, rangeReads: false },
      get: (name, { signal } = {}) => honest.get(name, { signal }),
    })
    return cutting(rangeless, () => (allowed += 900_000), counted)
  })
  const directory = join(await scratch(), 'artifact')
  await downloadArtifact(store, 'routes', directory)
  expect(await verifyArtifact(directory)).toMatchObject({ entries: 1 })
})

test('a link that stays broken leaves what came, and the next call goes on from there', async () => {
  const counted = { bytes: 0 }
  let gets = 0
  const { honest, store, bytes } = await published((each) =>
    cutting(each, () => (gets++ === 0 ? 2_000_000 : 0), counted),
  )
  const parent = await scratch()
  const directory = join(parent, 'artifact')
  await expect(downloadArtifact(store, 'routes', directory)).rejects.toMatchObject({ code: 'Unreachable' })
  expect(await readdir(parent)).toEqual(['artifact.slip-download'])
  let received = 0
  await downloadArtifact(honest, 'routes', directory, {
    onProgress: ({ receivedBytes }) => (received = receivedBytes),
  })
  expect(received).toBeLessThan(bytes - 1_200_000)
  expect(await verifyArtifact(directory)).toMatchObject({ entries: 1 })
  expect(await readdir(parent)).toEqual(['artifact'])
})

test('what an earlier download left is not trusted', async () => {
  let gets = 0
  const { honest, store } = await published((each) =>
    cutting(each, () => (gets++ === 0 ? 2_000_000 : 0), { bytes: 0 }),
  )
  const parent = await scratch()
  const directory = join(parent, 'artifact')
  await expect(downloadArtifact(store, 'routes', directory)).rejects.toMatchObject({ code: 'Unreachable' })
  const partial = join(parent, 'artifact.slip-download/data/fold.slip')
  const bytes = await readFile(partial)
  bytes[1000]! ^= 1
  await writeFile(partial, bytes)
  await downloadArtifact(honest, 'routes', directory)
  expect(await verifyArtifact(directory)).toMatchObject({ entries: 1 })
})

test('an abort leaves nothing, and so does a refusal', async () => {
  const { honest } = await published()
  const parent = await scratch()
  const stop = new AbortController()
  const reason = new Error('enough')
  await expect(
    downloadArtifact(honest, 'routes', join(parent, 'artifact'), {
      signal: stop.signal,
      onProgress: () => stop.abort(reason),
    }),
  ).rejects.toBe(reason)
  expect(await readdir(parent)).toEqual([])
  await expect(
    downloadArtifact(honest, 'routes', join(parent, 'artifact'), { maxBytes: 10 }),
  ).rejects.toMatchObject({ code: 'ArtifactInvalid' })
  await expect(
    downloadArtifact(honest, 'routes', join(parent, 'artifact'), { expected: { name: 'others' } }),
  ).rejects.toMatchObject({ code: 'ArtifactInvalid' })
  expect(await readdir(parent)).toEqual([])
})

test('a link that gives nothing any more is a Timeout', async () => {
  const { store } = await published((honest) =>
    overStore(honest, {
      get: async (name, options) => {
        const found = await honest.get(name, options)
        if (found === undefined || !name.endsWith('.tar')) return found
        const end = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
          await found.body[Symbol.asyncIterator]().return?.()
          return { done: true, value: undefined }
        }
        const next = (): Promise<never> => new Promise(() => undefined)
        return { ...found, body: { [Symbol.asyncIterator]: () => ({ next, return: end }) } }
      },
    }),
  )
  await expect(
    downloadArtifact(store, 'routes', join(await scratch(), 'artifact'), { timeoutMs: 50 }),
  ).rejects.toMatchObject({ code: 'Timeout' })
})

test.each(['abort', 'timeout'] as const)(
  'an object that is opened behind its %s is let go of: it may hold a file',
  async (way) => {
    const stop = new AbortController()
    const reason = new Error('enough')
    const open = new Set<object>()
    let opened = 0
    const { store } = await published((honest) =>
      overStore(honest, {
        get: async (name, options) => {
          const found = await honest.get(name, options)
          if (found === undefined || !name.endsWith('.tar') || opened++ > 0) return found
          open.add(found.body)
          if (way === 'abort') stop.abort(reason)
          // Behind the abort, or as the next attempt waits.
          await delay(way === 'abort' ? 0 : LATE_MS)
          const pieces = found.body[Symbol.asyncIterator]()
          const end = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
            open.delete(found.body)
            await pieces.return?.()
            return { done: true, value: undefined }
          }
          return {
            ...found,
            body: { [Symbol.asyncIterator]: () => ({ next: () => pieces.next(), return: end }) },
          }
        },
      }),
    )
    const download = downloadArtifact(store, 'routes', join(await scratch(), 'artifact'), {
      signal: stop.signal,
      ...(way === 'timeout' ? { timeoutMs: LATE_MS - 20 } : {}),
    })
    await (way === 'abort' ? expect(download).rejects.toBe(reason) : download)
    await vi.waitFor(() => expect(open.size).toBe(0), 5_000)
    expect(opened).toBeGreaterThan(0)
  },
)

test('a pointer that moved on while its payload was pruned is followed; one whose payload is gone is refused', async () => {
  const honest = directoryObjects(await scratch())
  await publishArtifact((await artifactAt(5)).directory, honest, 'routes')
  const next = await artifactAt(7)
  let moved = false
  const store = overStore(honest, {
    get: async (name, options) => {
      if (name.endsWith('.tar') && !moved) {
        moved = true
        await publishArtifact(next.directory, honest, 'routes')
        await pruneArtifacts(honest, 'routes', { graceMs: 0 })
      }
      return honest.get(name, options)
    },
  })
  const manifest = await downloadArtifact(store, 'routes', join(await scratch(), 'artifact'))
  expect(manifest?.cursor.revision).toBe(7n)
  for await (const { name } of honest.list('routes.payloads/')) await honest.delete(name)
  const parent = await scratch()
  await expect(downloadArtifact(honest, 'routes', join(parent, 'artifact'))).rejects.toThrow(/not found/)
  expect(await readdir(parent)).toEqual([])
})

test.each(['an archive', 'parts'])(
  'a payload of %s that is pruned in the middle of it is let go, and its successor fetched; with none it is refused',
  async (form) => {
    const honest = directoryObjects(await scratch())
    const large = async (revision: number): Promise<string> => {
      const layout = form === 'parts' ? 'records' : 'copy'
      // Nothing of one is in the other.
      return (await artifactAt(revision, { layout, value: `${revision}${VALUE}` })).directory
    }
    const [first, next] = [await large(5), await large(7)]
    await publishArtifact(first, honest, 'routes')
    let isBroken = false
    const store = breakingOnce(honest, async () => {
      isBroken = true
      await publishArtifact(next, honest, 'routes')
      await pruneArtifacts(honest, 'routes', { graceMs: 0 })
    })
    const directory = join(await scratch(), 'artifact')
    const manifest = await downloadArtifact(store, 'routes', directory)
    expect(isBroken).toBe(true)
    expect(manifest?.cursor.revision).toBe(7n)
    expect(await verifyArtifact(directory)).toMatchObject({ entries: manifest?.entries })
    const emptied = breakingOnce(honest, async () => {
      for await (const { name } of honest.list('routes.'))
        if (!name.endsWith('.manifest.json')) await honest.delete(name)
    })
    const parent = await scratch()
    await expect(downloadArtifact(emptied, 'routes', join(parent, 'artifact'))).rejects.toMatchObject({
      code: 'ArtifactInvalid',
    })
    expect(await readdir(parent)).toEqual([])
  },
)

test('a pointer that was bent finds no payload', async () => {
  const place = await scratch()
  const store = directoryObjects(place)
  await publishArtifact((await artifactAt(5, { interchange: 1 })).directory, store, 'routes')
  const path = join(place, 'routes.manifest.json')
  const bent = (await readFile(path, 'utf8')).replace('0000000000000005', '0000000000000006')
  await writeFile(path, bent)
  await expect(downloadArtifact(store, 'routes', join(await scratch(), 'artifact'))).rejects.toThrow(
    /not found/,
  )
})

test('signatures travel with the payload, and are asked for', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const signingKey = privateKey.export({ format: 'der', type: 'pkcs8' })
  const trustedKeys = [publicKey.export({ format: 'der', type: 'spki' })]
  const store = directoryObjects(await scratch())
  for (const interchange of [undefined, 1] as const) {
    const name = `signed-${interchange ?? 'native'}`
    const { directory } = await artifactAt(5, { signingKey, interchange })
    await publishArtifact(directory, store, name)
    const fetched = join(await scratch(), 'artifact')
    await downloadArtifact(store, name, fetched, { trustedKeys })
    await importSnapshot(fetched, appendLog({ path: join(await scratch(), 'fold') }), { trustedKeys })
  }
  await publishArtifact((await artifactAt(5)).directory, store, 'unsigned')
  const parent = await scratch()
  await expect(
    downloadArtifact(store, 'unsigned', join(parent, 'artifact'), { trustedKeys }),
  ).rejects.toMatchObject({ code: 'ArtifactInvalid' })
  expect(await readdir(parent)).toEqual([])
})

test('a destination that has something in it is left as it is', async () => {
  const { honest } = await published()
  const directory = await filesIn({ kept: new Uint8Array(3) })
  await expect(downloadArtifact(honest, 'routes', directory)).rejects.toMatchObject({ code: 'AlreadyExists' })
  expect(await readdir(directory)).toEqual(['kept'])
})

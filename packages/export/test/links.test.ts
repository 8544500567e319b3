import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import {
  directoryObjects,
  downloadArtifact,
  natsObjects,
  publishArtifact,
  s3Objects,
  verifyArtifact,
} from '@slip/export'
import type { ObjectStore } from '@slip/kv-core'
import { natsServerOrSkip, startNatsServer, startProxy, type Proxy } from '@slip/nats-server'
import { afterEach, describe, expect, test } from 'vitest'
import { artifactAt, namesIn } from './remote.ts'
import { scratch } from './scratch.ts'
import { ScriptedS3 } from './scripted-s3.ts'
import { startSlowLink } from './slow-link.ts'

const VALUE = 'a value that takes its time '.repeat(300_000)

interface Place {
  readonly store: ObjectStore
  /** The same one, by another way. */
  readonly honest: ObjectStore
  /** What is stored and belongs to no object. */
  readonly left: () => Promise<number>
  /** Between the two; a directory has none. */
  readonly proxy: Proxy | undefined
}

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function inDirectory(): Promise<Place> {
  const place = await scratch()
  const store = directoryObjects(place)
  const left = async (): Promise<number> =>
    (await readdir(join(place, '.slip-objects')).catch(() => [])).filter((name) => name.startsWith('draft'))
      .length
  return { store, honest: directoryObjects(place), left, proxy: undefined }
}

async function inNats(): Promise<Place> {
  const server = await startNatsServer({ version: '2.12' })
  ends.push(() => server.stop())
  const proxy = await startProxy({ target: server })
  ends.push(() => proxy[Symbol.asyncDispose]())
  const [near, far] = [await connect({ servers: server.url }), await connect({ servers: proxy.url })]
  ends.push(async () => {
    proxy.release()
    for (const each of [near, far]) await each.close()
  })
  const left = async (): Promise<number> => {
    const { streams } = await jetstreamManager(near)
    const { state } = await streams.info('OBJ_links', { subjects_filter: '$O.links.C.>' })
    return Object.keys(state.subjects ?? {}).length
  }
  return { store: natsObjects(far, 'links'), honest: natsObjects(near, 'links'), left, proxy }
}

async function inS3(): Promise<Place> {
  const server = new ScriptedS3()
  const endpoint = await server.start()
  ends.push(() => server.stop())
  const proxy = await startProxy({ target: { port: Number(new URL(endpoint).port) } })
  ends.push(() => proxy[Symbol.asyncDispose]())
  const open = (url: string): ObjectStore =>
    s3Objects({
      bucket: 'bucket',
      endpoint: url,
      region: 'us-east-1',
      credentials: () => ({ accessKeyId: 'key', secretAccessKey: 'secret' }),
      partBytes: 1_000_000,
    })
  const store = open(`http://127.0.0.1:${proxy.port}`)
  return { store, honest: open(endpoint), left: async () => server.uploads.size, proxy }
}

const { skip } = await natsServerOrSkip('2.12')
const PLACES: readonly (readonly [string, () => Promise<Place>])[] = [
  ['a directory', inDirectory],
  ...(skip ? [] : [['NATS Object Store', inNats] as const]),
  ['S3', inS3],
]

describe.each(PLACES)('%s', (_, open) => {
  test('what is reported of an upload and a download never goes back, and ends with all of it', async () => {
    const { store } = await open()
    const { directory } = await artifactAt(5, { value: VALUE })
    const seen: { readonly bytes: number; readonly totalBytes: number }[] = []
    const mustBeProgress = (): void => {
      expect(seen.length).toBeGreaterThan(4)
      const bytes = seen.map((each) => each.bytes)
      expect(bytes).toEqual(bytes.toSorted((a, b) => a - b))
      expect(new Set(seen.map((each) => each.totalBytes)).size).toBe(1)
      expect(bytes.at(-1)).toBe(seen[0]!.totalBytes)
      seen.length = 0
    }
    await publishArtifact(directory, store, 'routes', { onProgress: (done) => seen.push(done) })
    mustBeProgress()
    await downloadArtifact(store, 'routes', join(await scratch(), 'artifact'), {
      onProgress: (done) => seen.push(done),
    })
    mustBeProgress()
  })

  test('an abort in the middle of an upload or a download leaves nothing', async () => {
    const { store, honest, left } = await open()
    const { directory } = await artifactAt(5, { value: VALUE })
    const stoppedHalfWay = (): { signal: AbortSignal; onProgress: Progress; reason: Error } => {
      const [stop, reason] = [new AbortController(), new Error('enough')]
      return {
        signal: stop.signal,
        reason,
        onProgress: ({ bytes, totalBytes }) => {
          if (bytes > totalBytes / 2) stop.abort(reason)
        },
      }
    }
    const up = stoppedHalfWay()
    await expect(publishArtifact(directory, store, 'routes', up)).rejects.toBe(up.reason)
    expect(await namesIn(honest)).toEqual([])
    expect(await left()).toBe(0)
    await publishArtifact(directory, store, 'routes')
    const down = stoppedHalfWay()
    const parent = await scratch()
    await expect(downloadArtifact(store, 'routes', join(parent, 'artifact'), down)).rejects.toBe(down.reason)
    expect(await readdir(parent)).toEqual([])
  })
})

type Progress = (done: { readonly bytes: number; readonly totalBytes: number }) => void

describe.each(PLACES.slice(1))('a link to %s that stalls', (_, open) => {
  const stalledBehind =
    (share: number, proxy: Proxy): Progress =>
    ({ bytes, totalBytes }) => {
      if (bytes > share * totalBytes) proxy.hold()
    }

  test('a download is a Timeout, and the next call goes on where it ended', async () => {
    const { store, honest, proxy } = await open()
    // More than lies in buffers on the way.
    await publishArtifact((await artifactAt(5, { value: VALUE.repeat(4) })).directory, honest, 'routes')
    const parent = await scratch()
    const directory = join(parent, 'artifact')
    const stalled = downloadArtifact(store, 'routes', directory, {
      timeoutMs: 500,
      onProgress: stalledBehind(0.1, proxy!),
    })
    await expect(stalled).rejects.toMatchObject({
      code: expect.stringMatching(/Timeout|Unreachable/) as string,
    })
    expect(await readdir(parent)).toEqual(['artifact.slip-download'])
    proxy!.release()
    const seen: { readonly receivedBytes: number; readonly totalBytes: number }[] = []
    await downloadArtifact(store, 'routes', directory, { onProgress: (done) => seen.push(done) })
    expect(seen.at(-1)!.receivedBytes).toBeLessThan(0.95 * seen.at(-1)!.totalBytes)
    expect(await verifyArtifact(directory)).toMatchObject({ entries: 1 })
    expect(await readdir(parent)).toEqual(['artifact'])
  })

  test('an upload fails in time, nothing of it is seen, and the next one goes through', async () => {
    const { store, honest, proxy } = await open()
    const { directory } = await artifactAt(5, { value: VALUE })
    const stalled = publishArtifact(directory, store, 'routes', {
      timeoutMs: 500,
      onProgress: stalledBehind(0.5, proxy!),
    })
    await expect(stalled).rejects.toMatchObject({
      code: expect.stringMatching(/Timeout|Unreachable|OutcomeUnknown/) as string,
    })
    proxy!.release()
    expect(await namesIn(honest)).toEqual([])
    expect((await publishArtifact(directory, store, 'routes')).outcome).toBe('published')
    await downloadArtifact(honest, 'routes', join(await scratch(), 'artifact'))
  })
})

test.skipIf(skip)(
  'a slow link to NATS Object Store: what is on its way at once may take longer than nothing may be heard',
  async () => {
    const server = await startNatsServer({ version: '2.12' })
    ends.push(() => server.stop())
    // Sixteen chunks of 128 KiB are on their way: five seconds.
    const link = await startSlowLink(server.port, 400 * 1024)
    ends.push(async () => link.close())
    const connection = await connect({ servers: `nats://127.0.0.1:${link.port}` })
    ends.push(() => connection.close())
    const store = natsObjects(connection, 'slow')
    const bytes = Buffer.alloc(3 * 1024 * 1024, 'bytes')
    const begun = performance.now()
    await store.put('a', bytes, { timeoutMs: 4000 })
    expect(performance.now() - begun).toBeGreaterThan(4000)
    const pieces: Uint8Array[] = []
    for await (const piece of (await store.get('a', { timeoutMs: 4000 }))!.body) pieces.push(piece.slice())
    expect(Buffer.compare(Buffer.concat(pieces), bytes)).toBe(0)
  },
)

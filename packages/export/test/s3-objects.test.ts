import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { runObjectStoreConformance } from '@slip/conformance'
import { downloadArtifact, probeObjectStore, pruneArtifacts, publishArtifact, s3Objects } from '@slip/export'
import type { ObjectStore } from '@slip/kv-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { goRoundInParts } from './parts.ts'
import { artifactAt, namesIn } from './remote.ts'
import { scratch } from './scratch.ts'
import { ScriptedS3 } from './scripted-s3.ts'

const SECRET = 'this must never be seen'
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const ALL = { createOnly: true, compareAndSwap: true, rangeReads: true } as const

describe('a scripted server', () => {
  const server = new ScriptedS3()
  let endpoint = ''
  let store: ObjectStore
  const open = (prefix?: string): ObjectStore =>
    s3Objects({
      bucket: 'bucket',
      prefix,
      endpoint,
      region: 'us-east-1',
      credentials: () => ({ accessKeyId: 'key', secretAccessKey: SECRET }),
      partBytes: 400_000,
    })
  beforeAll(async () => {
    endpoint = await server.start()
  })
  afterAll(() => server.stop())
  beforeEach(() => {
    server.script = () => undefined
    server.objects.clear()
    server.uploads.clear()
    server.seen.length = 0
    server.region = 'us-east-1'
    server.aheadMs = 0
    server.pauseMs = 0
    store = open()
  })

  describe('conformance', () => {
    let places = 0
    runObjectStoreConformance(test, {
      capabilities: ALL,
      create: async () => {
        const place = `place ${++places}/`
        return { store: open(place), other: open(place), destroy: async () => undefined }
      },
    })
  })

  test('what fails, is aborted or loses leaves no parts', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(2_000_000)
      throw new Error('enough')
    }
    await expect(store.put('a', failing())).rejects.toThrow('enough')
    await store.put('b', text('there'))
    expect(await store.put('b', new Uint8Array(2_000_000), { condition: 'absent' })).toBe('conflict')
    expect(await store.put('c', new Uint8Array(2_000_000), { condition: { etag: '"x"' } })).toBe('conflict')
    expect(server.uploads.size).toBe(0)
    expect(await namesIn(store)).toEqual(['b'])
  })

  test('a condition goes with the completion of the parts, not with their beginning', async () => {
    const conditions: string[] = []
    server.script = ({ method, query, headers }) => {
      if (headers['if-none-match'] !== undefined) conditions.push(`${method} ${[...query.keys()].join()}`)
      return undefined
    }
    await store.put('a', new Uint8Array(900_000), { condition: 'absent' })
    expect(conditions).toEqual(['POST uploadId'])
  })

  test('409 of a put is asked again; of a completion it is a conflict or has to be sent again', async () => {
    let conflicts = 0
    server.script = ({ method }) =>
      method === 'PUT' && conflicts++ < 2
        ? { status: 409, code: 'ConditionalRequestConflict', before: true }
        : undefined
    expect(await store.put('a', text('v'), { condition: 'absent' })).not.toBe('conflict')
    expect(conflicts).toBe(3)
    server.script = ({ method, query }) =>
      method === 'POST' && query.has('uploadId')
        ? { status: 409, code: 'ConditionalRequestConflict', before: true }
        : undefined
    expect(await store.put('a', new Uint8Array(900_000), { condition: 'absent' })).toBe('conflict')
    await expect(store.put('b', new Uint8Array(900_000), { condition: 'absent' })).rejects.toMatchObject({
      code: 'Unreachable',
    })
    expect(server.uploads.size).toBe(0)
  })

  test('412 and 404 of a condition are conflicts', async () => {
    await store.put('a', text('v'))
    for (const status of [412, 404]) {
      server.script = ({ method }) =>
        method === 'PUT' ? { status, code: 'NoSuchKey', before: true } : undefined
      expect(await store.put('a', text('w'), { condition: { etag: '"x"' } })).toBe('conflict')
    }
  })

  test('a completion that answers 200 with an error inside has not succeeded', async () => {
    server.script = ({ method, query }) =>
      method === 'POST' && query.has('uploadId')
        ? { status: 200, code: 'InternalError', before: true }
        : undefined
    await expect(store.put('a', new Uint8Array(900_000))).rejects.toMatchObject({ code: 'OutcomeUnknown' })
  })

  test('an answer that got lost: reads are asked again, a swap is OutcomeUnknown', async () => {
    const put = await store.put('a', text('v'))
    let lost = 0
    server.script = () => (lost++ === 0 ? 'drop' : undefined)
    expect(await store.get('a')).toMatchObject({ size: 1 })
    lost = 0
    server.script = ({ method }) => (method === 'PUT' && lost++ === 0 ? { status: 500 } : undefined)
    await expect(store.put('a', text('w'), { condition: put as { etag: string } })).rejects.toMatchObject({
      code: 'OutcomeUnknown',
    })
    expect(await store.put('a', text('x'), { condition: put as { etag: string } })).toBe('conflict')
    lost = 0
    server.script = () => (lost++ < 2 ? { status: 503, code: 'SlowDown', before: true } : undefined)
    expect(await store.put('b', text('v'), { condition: 'absent' })).not.toBe('conflict')
  })

  test.each([
    [403, 'AccessDenied', 'PermissionDenied'],
    [403, 'InvalidAccessKeyId', 'Unauthorized'],
    [403, 'SignatureDoesNotMatch', 'Unauthorized'],
    [400, 'ExpiredToken', 'Unauthorized'],
    [403, 'RequestTimeTooSkewed', 'Unauthorized'],
    [301, 'PermanentRedirect', 'Unsupported'],
    [400, 'AuthorizationHeaderMalformed', 'Unsupported'],
    [507, 'InsufficientStorage', 'QuotaExceeded'],
    [503, 'SlowDown', 'Unreachable'],
    [307, 'TemporaryRedirect', 'Unreachable'],
    [404, 'NoSuchBucket', 'BucketNotFound'],
    [501, 'NotImplemented', 'Unsupported'],
    [500, 'InternalError', 'Unreachable'],
  ])('%i %s is %s, and no credential is told', async (status, code, expected) => {
    server.script = () => ({ status, code, before: true })
    const error = await store.get('a').then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    )
    expect(error).toMatchObject({ code: expected })
    expect(JSON.stringify([error!.message, error, String(error!.cause)])).not.toContain(SECRET)
  })

  test('a clock that is off is made good by the server’s, once', async () => {
    server.aheadMs = 3_600_000
    expect(await store.put('a', text('v'), { condition: 'absent' })).not.toBe('conflict')
    expect(server.seen).toEqual(['PUT a ', 'PUT a '])
    expect(await store.get('a')).toMatchObject({ size: 1 })
    expect(server.seen).toHaveLength(3)
    server.seen.length = 0
    server.script = () => ({ status: 403, code: 'RequestTimeTooSkewed', before: true })
    await expect(store.get('a')).rejects.toThrow(/the clock here is 3[56]\d\d s behind the store's/)
    expect(server.seen).toHaveLength(2)
  })

  test('a bucket in another region is asked there, once; where the endpoint sends elsewhere it says so', async () => {
    server.region = 'eu-west-1'
    expect(await store.put('a', text('v'), { condition: 'absent' })).not.toBe('conflict')
    expect(await store.get('a')).toMatchObject({ size: 1 })
    expect(server.seen).toEqual(['PUT a ', 'PUT a ', 'GET a '])
    server.seen.length = 0
    server.script = () => ({
      status: 301,
      code: 'PermanentRedirect',
      before: true,
      headers: { 'x-amz-bucket-region': 'ap-south-1', location: 'http://127.0.0.1:9/' },
    })
    const error: unknown = await store.put('b', text('v')).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'Unsupported' })
    expect(String(error)).toContain('the bucket is in ap-south-1, and eu-west-1 was asked')
    expect(server.seen).toHaveLength(1)
  })

  test('credentials that expired are read again, and asked with once more when they are others', async () => {
    const tokens = ['old', 'old', 'new', 'new', 'new']
    store = s3Objects({
      bucket: 'bucket',
      endpoint,
      credentials: () => ({ accessKeyId: 'key', secretAccessKey: SECRET, sessionToken: tokens.shift() }),
    })
    server.script = ({ headers }) =>
      headers['x-amz-security-token'] === 'new'
        ? undefined
        : { status: 400, code: 'ExpiredToken', before: true }
    await expect(store.put('a', text('v'))).rejects.toMatchObject({ code: 'Unauthorized' })
    expect(server.seen).toHaveLength(1)
    tokens.unshift('old')
    expect(await store.put('a', text('v'), { condition: 'absent' })).not.toBe('conflict')
    expect(server.seen).toHaveLength(3)
  })

  test.each([
    [503, 'SlowDown'],
    [429, 'TooManyRequests'],
    [400, 'RequestTimeout'],
    [307, 'TemporaryRedirect'],
  ])(
    '%i %s says that nothing was done: what has a condition waits, longer each time, and is sent again',
    async (status, code) => {
      const asked: number[] = []
      server.script = () => {
        asked.push(performance.now())
        return asked.length < 4 ? { status, code, before: true } : undefined
      }
      expect(await store.put('a', text('v'), { condition: 'absent' })).not.toBe('conflict')
      const waits = asked.slice(1).map((at, i) => at - asked[i]!)
      expect(waits).toHaveLength(3)
      for (const [i, least] of [100, 200, 400].entries()) expect(waits[i]).toBeGreaterThanOrEqual(least - 5)
    },
  )

  test('a part that the link takes slowly is no timeout; one that it does not take is', async () => {
    const wide = s3Objects({
      bucket: 'bucket',
      endpoint,
      region: 'us-east-1',
      credentials: () => ({ accessKeyId: 'key', secretAccessKey: SECRET }),
      partBytes: 24 * 1024 * 1024,
    })
    server.pauseMs = 20
    const begun = performance.now()
    await wide.put('a', new Uint8Array(24 * 1024 * 1024), { timeoutMs: 4000 })
    expect(performance.now() - begun).toBeGreaterThan(4000)
    server.pauseMs = 600_000
    await expect(
      wide.put('b', new Uint8Array(24 * 1024 * 1024), { timeoutMs: 200, condition: 'absent' }),
    ).rejects.toMatchObject({ code: 'OutcomeUnknown' })
  })

  test('a store that ignores conditions is found, and refused for pointers', async () => {
    expect(await probeObjectStore(store)).toEqual(ALL)
    server.script = () => 'ignoreConditions'
    const { directory } = await artifactAt(5)
    await expect(publishArtifact(directory, open(), 'routes')).rejects.toMatchObject({ code: 'Unsupported' })
    expect([...server.objects.keys()]).toEqual([])
  })

  test('artifacts go round in parts', async () => {
    await goRoundInParts(open('parts'))
  })

  test('artifacts go round: publish, supersede, download, prune', async () => {
    await goRound(open('fleet'))
    expect([...server.objects.keys()].every((key) => key.startsWith('fleet/cell/routes.'))).toBe(true)
  })
})

async function goRound(store: ObjectStore): Promise<void> {
  for (const revision of [5, 3, 7]) {
    const { directory } = await artifactAt(revision, { value: 'x'.repeat(2_000_000) })
    const { outcome } = await publishArtifact(directory, store, 'cell/routes')
    expect(outcome).toBe(revision === 3 ? 'superseded' : 'published')
  }
  const manifest = await downloadArtifact(store, 'cell/routes', join(await scratch(), 'artifact'))
  expect(manifest?.cursor.revision).toBe(7n)
  expect(await pruneArtifacts(store, 'cell/routes', { graceMs: 0 })).toBe(1)
  expect(await namesIn(store)).toHaveLength(2)
}

const bucket = process.env['SLIP_S3_BUCKET']

describe.skipIf(bucket === undefined)(
  bucket === undefined ? 'a real endpoint [skipped: SLIP_S3_BUCKET is not set]' : `the real bucket ${bucket}`,
  () => {
    const run = randomUUID()
    let places = 0
    const open = (): ObjectStore => s3Objects({ bucket: bucket!, prefix: `slip-test/${run}/${++places}` })

    runObjectStoreConformance(test, {
      capabilities: ALL,
      create: async () => {
        const store = open()
        return {
          store,
          destroy: async () => {
            for await (const { name } of store.list('')) await store.delete(name)
          },
        }
      },
    })

    test('artifacts go round', () => goRound(open()))
    test('artifacts go round in parts', () => goRoundInParts(open()))
  },
)

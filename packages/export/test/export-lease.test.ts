import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KvError, VersionToken, WatchCursor, type KvStore } from '@slip/kv-core'
import { ExportLease } from '@slip/export'
import { MemoryConnection } from '@slip/memory'
import { NatsConnection } from '@slip/nats'
import { natsServerOrSkip, startNatsServer, type NatsServer } from '@slip/nats-server'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { INTEROP } from './interop.ts'
import { SERVER_LINES } from './servers.ts'

interface Expected {
  readonly parses: boolean
  readonly holder_id?: string
  readonly acquired_at_unix?: string
  readonly expires_at_unix?: string
  readonly completed_cursor_hex?: string | null
  readonly rewritten?: string
}

const GOLDEN = Object.entries(
  JSON.parse(await readFile(join(INTEROP, 'lease/expected.json'), 'utf8')) as Record<string, Expected>,
)
const golden = (file: string): Promise<Uint8Array> => readFile(join(INTEROP, 'lease', file))
const textOf = async (bucket: KvStore): Promise<string> =>
  new TextDecoder().decode((await bucket.reader.entry('lease'))?.value)
const wants = (holderId: string, ttlMs = 3_600_000): { holderId: string; ttlMs: number } => ({
  holderId,
  ttlMs,
})

/** At this second, for as long as `work` takes. */
async function atSecond<R>(seconds: number, work: () => Promise<R>): Promise<R> {
  vi.spyOn(Date, 'now').mockReturnValue(seconds * 1000 + 700)
  try {
    return await work()
  } finally {
    vi.restoreAllMocks()
  }
}

afterEach(() => vi.restoreAllMocks())

function leaseTests(open: () => Promise<KvStore>): void {
  test('of many who come at once one has it, and then nobody', async () => {
    const bucket = await open()
    const got = await Promise.all(
      Array.from({ length: 8 }, (_, i) => ExportLease.tryAcquire(bucket, 'lease', wants(`node-${i}`))),
    )
    const winner = got.findIndex((each) => each !== undefined)
    expect(got.filter((each) => each !== undefined)).toHaveLength(1)
    expect(await ExportLease.current(bucket, 'lease')).toMatchObject({ holderId: `node-${winner}` })
    expect(await ExportLease.tryAcquire(bucket, 'lease', wants('late'))).toBeUndefined()
  })

  test('the record is the Rust system’s, byte for byte', async () => {
    const bucket = await open()
    await atSecond(1_795_250_142, async () => {
      const lease = await ExportLease.tryAcquire(bucket, 'lease', wants('site-95'))
      expect(await textOf(bucket)).toBe(new TextDecoder().decode(await golden('acquired.json')))
      expect(await lease!.complete(WatchCursor.fromRevision(0x3f10ab59n))).toBe(true)
      expect(await textOf(bucket)).toBe(new TextDecoder().decode(await golden('completed.json')))
      expect(await lease!.complete(WatchCursor.none)).toBe(true)
      expect(await textOf(bucket)).toBe(new TextDecoder().decode(await golden('completed-none.json')))
      const memo = WatchCursor.fromToken(VersionToken.fromRevision(77n), {
        evictionSeen: true,
        serverTimeMs: 1_700_000_000_123n,
      })
      expect(await lease!.complete(memo)).toBe(true)
      expect(await textOf(bucket)).toBe(new TextDecoder().decode(await golden('completed-memo-cursor.json')))
      expect((await bucket.reader.entry('lease'))!.version.equals(lease!.version)).toBe(true)
      expect(await lease!.abandon()).toBe(true)
      expect((await bucket.reader.entry('lease'))!.value).toHaveLength(0)
    })
  })

  test.each(GOLDEN)('%s is read as the Rust system reads it', async (file, expected) => {
    const bucket = await open()
    await bucket.writer!.put('lease', await golden(file))
    const found = await ExportLease.current(bucket, 'lease')
    expect(found !== undefined).toBe(expected.parses)
    if (!expected.parses) {
      expect(await ExportLease.tryAcquire(bucket, 'lease', wants('next'))).toBeDefined()
      return
    }
    expect(found).toMatchObject({
      holderId: expected.holder_id,
      acquiredAtUnix: Number(expected.acquired_at_unix),
      expiresAtUnix: Number(expected.expires_at_unix),
    })
    expect(found!.completedCursor?.toHex()).toBe(expected.completed_cursor_hex ?? undefined)
    const expires = Number(expected.expires_at_unix)
    if (expires > 2 ** 53) {
      expect(await ExportLease.tryAcquire(bucket, 'lease', wants('next'))).toBeUndefined()
      return
    }
    await atSecond(expires - 1, async () => {
      expect(await ExportLease.tryAcquire(bucket, 'lease', wants('next'))).toBeUndefined()
    })
    await atSecond(expires, async () => {
      expect(await ExportLease.tryAcquire(bucket, 'lease', wants('next'))).toBeDefined()
    })
  })

  test('who lost it by time neither completes nor abandons that of the next one', async () => {
    const bucket = await open()
    const first = await atSecond(1_700_000_000, () =>
      ExportLease.tryAcquire(bucket, 'lease', wants('a', 1000)),
    )
    const second = await atSecond(1_700_000_001, () =>
      ExportLease.tryAcquire(bucket, 'lease', wants('b', 1000)),
    )
    expect(second).toBeDefined()
    expect(await first!.complete(WatchCursor.fromRevision(1n))).toBe(false)
    expect(await first!.abandon()).toBe(false)
    expect(await ExportLease.current(bucket, 'lease')).toMatchObject({ holderId: 'b' })
  })

  test('an abandoned one, and one whose key was deleted, is free at once', async () => {
    const bucket = await open()
    const first = await ExportLease.tryAcquire(bucket, 'lease', wants('a'))
    await first!.abandon()
    expect(await ExportLease.current(bucket, 'lease')).toBeUndefined()
    expect(await ExportLease.tryAcquire(bucket, 'lease', wants('b'))).toBeDefined()
    await bucket.writer!.delete('lease')
    expect(await ExportLease.tryAcquire(bucket, 'lease', wants('c'))).toBeDefined()
  })

  test('a lease of less than a second is no lease that ended already', async () => {
    const bucket = await open()
    const taken = await atSecond(1_700_000_000, () =>
      ExportLease.tryAcquire(bucket, 'lease', wants('a', 400)),
    )
    expect(taken).toBeDefined()
    await atSecond(1_700_000_001, async () => {
      expect(await ExportLease.tryAcquire(bucket, 'lease', wants('b'))).toBeUndefined()
    })
    await expect(ExportLease.tryAcquire(bucket, 'lease', wants('a', 0))).rejects.toBeInstanceOf(RangeError)
  })

  test('a write whose answer is lost is looked for: made, not made, or made by somebody else', async () => {
    const honest = await open()
    for (const [made, answers] of [
      [true, 'ours'],
      [false, 'ours'],
      ['other', 'lost'],
    ] as const) {
      await honest.writer!.delete('lease')
      let lost = 0
      const create: NonNullable<KvStore['writer']>['create'] = async (key, value, options) => {
        if (lost++ > 0) return honest.writer!.create(key, value, options)
        if (made === true) await honest.writer!.create(key, value, options)
        if (made === 'other') await honest.writer!.create(key, 'somebody else', options)
        throw new KvError('OutcomeUnknown', 'no answer')
      }
      const bucket = { ...plain(honest), writer: writerWith(honest, { create }) }
      const lease = await ExportLease.tryAcquire(bucket, 'lease', wants('a'))
      expect(lease === undefined ? 'lost' : 'ours', String(made)).toBe(answers)
      if (lease !== undefined)
        expect((await honest.reader.entry('lease'))!.version.equals(lease.version)).toBe(true)
    }
  })

  test('a write that arrives after it was looked for is still ours', async () => {
    const honest = await open()
    let attempts = 0
    const create: NonNullable<KvStore['writer']>['create'] = async (key, value, options) => {
      if (attempts++ === 0) throw new KvError('Timeout', 'no answer')
      await honest.writer!.create(key, value, options)
      throw new KvError('AlreadyExists', 'the first one had arrived')
    }
    const bucket = { ...plain(honest), writer: writerWith(honest, { create }) }
    expect(await ExportLease.tryAcquire(bucket, 'lease', wants('a'))).toBeDefined()
    expect(attempts).toBe(2)
  })
}

function plain({ name, reader }: KvStore): KvStore {
  return { name, reader }
}

function writerWith(
  { writer }: KvStore,
  parts: Partial<NonNullable<KvStore['writer']>>,
): NonNullable<KvStore['writer']> {
  const honest = writer!
  return {
    put: (...given) => honest.put(...given),
    create: (...given) => honest.create(...given),
    update: (...given) => honest.update(...given),
    delete: (...given) => honest.delete(...given),
    deleteWithVersion: (...given) => honest.deleteWithVersion(...given),
    bulk: (...given) => honest.bulk(...given),
    ...parts,
  }
}

describe('over a bucket in memory', () => {
  leaseTests(() => new MemoryConnection().store('leases', {}))

  test('a bucket that cannot be written to is Unsupported', async () => {
    const bucket = plain(await new MemoryConnection().store('leases', {}))
    await expect(ExportLease.tryAcquire(bucket, 'lease', wants('a'))).rejects.toMatchObject({
      code: 'Unsupported',
    })
  })
})

for (const version of SERVER_LINES) {
  const { skip } = await natsServerOrSkip(version)
  describe.skipIf(skip)(`over a bucket of nats-server ${version}`, () => {
    let server: NatsServer
    let connection: NatsConnection
    let buckets = 0
    beforeAll(async () => {
      server = await startNatsServer({ version })
      connection = await NatsConnection.connect({ servers: server.url })
    })
    afterAll(async () => {
      await connection.close()
      await server.stop()
    })
    leaseTests(() => connection.store(`leases_${++buckets}`, {}))
  })
}

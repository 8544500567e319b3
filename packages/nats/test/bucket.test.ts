import { jetstreamManager } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import { NatsConnection, natsConnect } from '@slip/nats'
import { natsServerOrSkip, SERVER_MATRIX, startNatsServer } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

import { codeOf } from './code-of.ts'

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)
  const ttl = version !== '2.10'

  describe.skipIf(skip)(`buckets on nats-server ${version}`, () => {
    test('a bucket is made with its settings, reports them, and a second open tells the drift', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const config = {
        history: 3,
        maxAgeMs: 60_000,
        maxBytes: 1_000_000,
        maxValueBytes: 1_000,
        storage: 'memory',
        discard: 'old',
        ...(ttl ? { markerTtlMs: 5_000 } : {}),
      } as const
      const made = await connection.store('b', config)
      expect(made.drift).toEqual([])
      await made.writer.put('k', 'v')
      await made.writer.delete('gone')
      expect(await connection.bucketInfo('b')).toMatchObject({
        name: 'b',
        ...config,
        markerTtlMs: ttl ? 5_000 : null,
        replicas: 1,
        keys: 2,
        firstRevision: 1,
        lastRevision: 2,
        created: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
      })
      expect((await connection.store('b', config)).drift).toEqual([])
      expect((await connection.store('b', { history: 1, maxBytes: 5, storage: 'memory' })).drift).toEqual([
        { setting: 'history', wanted: 1, found: 3 },
        { setting: 'maxBytes', wanted: 5, found: 1_000_000 },
      ])
      expect((await connection.store('b')).drift).toEqual([])
    })

    test('a bucket without settings has no limits and refuses rather than evicts', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      await connection.store('b', {})
      expect(await connection.bucketInfo('b')).toMatchObject({
        history: 1,
        maxAgeMs: null,
        maxBytes: null,
        maxValueBytes: null,
        markerTtlMs: null,
        discard: 'new',
        storage: 'file',
      })
      const client = await natsConnect({ servers: server.url })
      const { config } = await (await jetstreamManager(client)).streams.info('KV_b')
      expect(config).toMatchObject({
        subjects: ['$KV.b.>'],
        max_msgs_per_subject: 1,
        max_bytes: -1,
        max_msgs: -1,
        allow_rollup_hdrs: true,
        deny_delete: true,
        deny_purge: false,
        allow_direct: true,
        discard: 'new',
      })
      await client.close()
    })

    test('a bucket that is not there is BucketNotFound for opening, reading, writing and deleting', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const store = await connection.store('b', {})
      await connection.deleteBucket('b')
      const { signal } = new AbortController()
      for (const work of [
        () => connection.store('b'),
        () => connection.bucketInfo('b'),
        () => connection.deleteBucket('b'),
        () => store.reader.get('k', { signal }),
        () => store.reader.entry('k'),
        () => collect(store.reader.keys()),
        () => store.writer.put('k', 'v'),
        () => store.writer.create('k', 'v'),
        () => store.purger.purge('k'),
      ])
        expect(await codeOf(work()), String(work)).toBe('BucketNotFound')
    })

    test('the stock client and this one read and write the same bucket, made by either', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const client = await natsConnect({ servers: server.url })
      const kvm = new Kvm(client)
      const ours = await connection.store('ours', { history: 2 })
      const theirs = await kvm.create('theirs', { history: 2 })
      for (const [store, kv] of [
        [ours, await kvm.open('ours')],
        [await connection.store('theirs'), theirs],
      ] as const) {
        const revision = await kv.put('a.b', 'from kv')
        const entry = await store.reader.get('a.b')
        expect([text(entry?.value), entry?.version.revision]).toEqual(['from kv', BigInt(revision)])
        const version = await store.writer.update('a.b', 'from slip', entry!.version)
        expect((await kv.get('a.b'))?.string()).toBe('from slip')
        expect((await kv.get('a.b'))?.revision).toBe(Number(version.revision))
        await store.writer.delete('a.b')
        expect((await kv.get('a.b'))?.operation).toBe('DEL')
        await kv.create('a.b', 'again')
        await store.purger.purge('a.b')
        expect((await kv.get('a.b'))?.operation).toBe('PURGE')
        await kv.put('x', '1')
        await kv.put('y', '2')
        await kv.delete('y')
        expect((await collect(store.reader.keys())).map(({ key }) => key)).toEqual(['x'])
        await store.writer.create('y', 'over a delete')
        const keys: string[] = []
        for await (const key of await kv.keys()) keys.push(key)
        expect(keys.toSorted()).toEqual(['x', 'y'])
        expect((await kv.status()).history).toBe(2)
      }
      await client.close()
    })

    test('a limit of the account is QuotaExceeded; settings no server takes are refused here', async () => {
      await using server = await startNatsServer({
        version,
        config:
          'no_auth_user: u\naccounts { A { jetstream { max_streams: 1, max_file: 1000000, max_mem: 0 }, users: [{ user: u, password: p }] } }',
      })
      await using connection = await NatsConnection.connect({ servers: server.url })
      expect(await codeOf(connection.store('big', { maxBytes: 2_000_000 }))).toBe('QuotaExceeded')
      await connection.store('one', {})
      expect(await codeOf(connection.store('two', {}))).toBe('QuotaExceeded')
      expect(await codeOf(connection.store('three', { replicas: 3 }))).toMatch(/Unsupported|QuotaExceeded/)
      for (const config of [{ history: 65 }, { history: 0 }, { maxAgeMs: -1 }, { markerTtlMs: 1_500 }])
        await expect(connection.store('x', config)).rejects.toThrow(RangeError)
      await expect(connection.store('a.b')).rejects.toThrow(TypeError)
    })

    test('a JetStream domain and an API prefix are respected', async () => {
      await using server = await startNatsServer({ version, config: 'jetstream { domain: edge }' })
      for (const config of [{ domain: 'edge' }, { apiPrefix: '$JS.edge.API.' }]) {
        await using connection = await NatsConnection.connect({ servers: server.url, ...config })
        const store = await connection.store('b', {})
        await store.writer.put('k', 'v')
        expect(text((await store.reader.get('k'))?.value)).toBe('v')
        expect(text((await store.reader.entry('k'))?.value)).toBe('v')
        expect(await collect(store.reader.scan())).toHaveLength(1)
        expect(await store.watcher.describe({ prefix: 'k' })).toMatchObject({ lastRevision: 1n })
        for await (const { updates, caughtUp } of store.watcher.watch('all', {
          signal: AbortSignal.timeout(5_000),
        })) {
          for (const { key } of updates) expect(key).toBe('k')
          if (caughtUp) break
        }
        await connection.deleteBucket('b')
      }
      await using wrong = await NatsConnection.connect({
        servers: server.url,
        domain: 'other',
        timeoutMs: 500,
      })
      expect(await codeOf(wrong.store('b'))).toMatch(/Unreachable|Timeout/)
    })

    test.skipIf(ttl)('markerTtlMs is Unsupported where the server does not know it', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      expect(await codeOf(connection.store('b', { markerTtlMs: 1_000 }))).toBe('Unsupported')
      expect(await codeOf(connection.store('b'))).toBe('BucketNotFound')
      expect(connection.capabilities.ttl).toBe(false)
    })
  })
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

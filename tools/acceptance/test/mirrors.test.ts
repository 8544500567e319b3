import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RawJetStream } from '@slip/acceptance'
import { follow, type Follower } from '@slip/kv-core'
import { NatsConnection, natsBucket, type BucketIdentity } from '@slip/nats'
import { natsServerOrSkip, SERVER_MATRIX, startNatsServer } from '@slip/nats-server'
import { appendLog, type AppendLogSnapshot } from '@slip/store-applog'
import { describe, expect, onTestFinished, test, vi } from 'vitest'

const ONE: BucketIdentity = { name: 'routes', incarnation: 'of 2026' }

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`mirrors of a bucket, nats-server ${version}`, { timeout: 60_000 }, () => {
    test('are read, listed and watched like their origin, in every scope, and not written', async () => {
      const { origin, connection } = await mirrored(version)
      const mirror = await connection.store('copy')
      expect(await listed(mirror.reader.keys())).toEqual(['a.1', 'a.2', 'b.1'])
      expect(await listed(mirror.reader.keys('a.'))).toEqual(['a.1', 'a.2'])
      expect(Buffer.from((await mirror.reader.get('a.2'))!.value).toString()).toBe('2')
      expect(await mirror.reader.get('gone')).toBeUndefined()
      await expect(mirror.writer.put('a.3', 'x')).rejects.toMatchObject({
        code: 'Unsupported',
        message: expect.stringContaining('write to routes'),
      })
      for (const [scope, keys] of [
        ['all', ['a.1', 'a.2', 'b.1', 'live']],
        [{ prefix: 'a.' }, ['a.1', 'a.2']],
        [{ prefixes: ['b.', 'li'] }, ['b.1', 'live']],
      ] as const) {
        await using fold = await follow({
          source: natsBucket('copy', { servers: connectionUrl(connection) }),
          store: appendLog({ path: await foldPath() }),
          scope,
        })
        await fold.caughtUp({ timeoutMs: 10_000 })
        await origin.writer.put('live', `for ${JSON.stringify(scope)}`)
        const expected = keys.filter((key) => key !== 'live' || scope === 'all' || 'prefixes' in scope)
        await vi.waitFor(() => expect([...fold.keys()]).toEqual(expected), 10_000)
        if (scope === 'all') await vi.waitFor(() => expect(fold.status.verifiedThrough).toBeDefined(), 10_000)
      }
    })

    test('with one identity a fold goes on with another of them, and receives only the difference', async () => {
      const { origin, connection } = await mirrored(version)
      const path = await foldPath()
      const first = await followed(connection, 'routes', path, ONE)
      expect(first.status.delivered).toBe(4)
      await first.close()
      const written = await origin.writer.put('a.3', '3')
      const second = await followed(connection, 'copy', path, ONE)
      await second.waitFor(written, { timeoutMs: 10_000 })
      expect([...second.keys()]).toEqual(['a.1', 'a.2', 'a.3', 'b.1'])
      expect(second.status).toMatchObject({ state: 'live', delivered: 1, relisted: 0 })
      await second.close()
    })

    test('without one, or with the name alone, a mirror is another bucket', async () => {
      const { connection } = await mirrored(version)
      const path = await foldPath()
      await (await followed(connection, 'routes', path)).close()
      await expect(followed(connection, 'copy', path)).rejects.toMatchObject({ code: 'ForeignFold' })
      const states: (string | undefined)[] = []
      const named = await followed(connection, 'copy', path, { name: 'routes' }, (reason) =>
        states.push(reason),
      )
      expect(states).toContain('bucketRecreated')
      await named.close()
    })
  })
}

async function mirrored(
  version: (typeof SERVER_MATRIX)[number],
): Promise<{ origin: Awaited<ReturnType<NatsConnection['store']>>; connection: NatsConnection }> {
  const server = await startNatsServer({ version })
  const connection = await NatsConnection.connect({ servers: server.url })
  onTestFinished(async () => {
    await connection.close()
    await server[Symbol.asyncDispose]()
  })
  const origin = await connection.store('routes', { history: 1 })
  for (const key of ['a.1', 'a.2', 'b.1', 'gone']) await origin.writer.put(key, key.at(-1)!)
  await origin.writer.delete('gone')
  await using raw = await RawJetStream.connect(server.url)
  await raw.api('STREAM.CREATE.KV_copy', {
    name: 'KV_copy',
    mirror: { name: 'KV_routes' },
    max_msgs_per_subject: 1,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
    storage: 'file',
    retention: 'limits',
    num_replicas: 1,
  })
  await vi.waitFor(async () => expect((await connection.bucketInfo('copy')).lastRevision).toBe(5), 10_000)
  return { origin, connection }
}

function connectionUrl(connection: NatsConnection): string {
  return (connection.toJSON() as { readonly server: string }).server
}

async function followed(
  connection: NatsConnection,
  bucket: string,
  path: string,
  identity?: BucketIdentity,
  onReason?: (reason: string | undefined) => void,
): Promise<Follower<AppendLogSnapshot>> {
  const fold = await follow({
    source: natsBucket(bucket, {
      servers: connectionUrl(connection),
      ...(identity === undefined ? {} : { identity }),
    }),
    store: appendLog({ path }),
  })
  if (onReason !== undefined) fold.onStatus(({ reason }) => onReason(reason))
  try {
    await fold.caughtUp({ timeoutMs: 10_000 })
  } catch (error) {
    await fold.close().catch(() => undefined)
    throw error
  }
  return fold
}

async function foldPath(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'slip-acceptance-'))
  onTestFinished(async () => await rm(directory, { recursive: true, force: true }))
  return join(directory, 'fold.slip')
}

async function listed(keys: AsyncIterable<{ readonly key: string }>): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of keys) found.push(key)
  return found.sort()
}

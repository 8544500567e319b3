import { join } from 'node:path'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { runObjectStoreConformance } from '@slip/conformance'
import {
  downloadArtifact,
  natsObjects,
  probeObjectStore,
  pruneArtifacts,
  publishArtifact,
} from '@slip/export'
import { natsServerOrSkip, startNatsServer, type NatsServer } from '@slip/nats-server'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { goRoundInParts } from './parts.ts'
import { artifactAt, namesIn } from './remote.ts'
import { scratch } from './scratch.ts'
import { SERVER_LINES } from './servers.ts'

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of body) pieces.push(piece.slice())
  return Buffer.concat(pieces)
}

for (const version of SERVER_LINES) {
  const { skip } = await natsServerOrSkip(version)
  describe.skipIf(skip)(`NATS Object Store of nats-server ${version}`, () => {
    let server: NatsServer
    let connections: readonly NatsConnection[] = []
    let buckets = 0
    beforeAll(async () => {
      server = await startNatsServer({ version })
      connections = [await connect({ servers: server.url }), await connect({ servers: server.url })]
    })
    afterAll(async () => {
      for (const each of connections) await each.close()
      await server.stop()
    })
    const chunksIn = async (name: string): Promise<number> => {
      const manager = await jetstreamManager(connections[0]!)
      const { state } = await manager.streams.info(`OBJ_${name}`, { subjects_filter: `$O.${name}.C.>` })
      return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0)
    }

    runObjectStoreConformance(test, {
      capabilities: { createOnly: true, compareAndSwap: true, rangeReads: true },
      create: async () => {
        const name = `conformance_${++buckets}`
        return {
          store: natsObjects(connections[0]!, name),
          other: natsObjects(connections[1]!, name),
          destroy: async () => {
            const manager = await jetstreamManager(connections[0]!)
            await manager.streams.delete(`OBJ_${name}`).catch(() => undefined)
          },
        }
      },
    })

    test('a bucket that is not there holds nothing, and is made by a put', async () => {
      const store = natsObjects(connections[0]!, 'unmade')
      expect(await store.get('a')).toBeUndefined()
      expect(await namesIn(store)).toEqual([])
      await store.delete('a')
      await store.put('a', new Uint8Array(3))
      expect(await namesIn(store)).toEqual(['a'])
    })

    test('what is replaced, deleted, aborted, lost to a condition or failed leaves no chunks', async () => {
      const store = natsObjects(connections[0]!, 'chunks')
      await store.put('a', new Uint8Array(300_000))
      expect(await chunksIn('chunks')).toBe(3)
      await store.put('a', new Uint8Array(1))
      expect(await chunksIn('chunks')).toBe(1)
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield new Uint8Array(5_000_000)
        throw new Error('enough')
      }
      await expect(store.put('b', failing())).rejects.toThrow('enough')
      expect(await store.put('a', new Uint8Array(500_000), { condition: 'absent' })).toBe('conflict')
      async function* overtaken(): AsyncGenerator<Uint8Array> {
        yield new Uint8Array(500_000)
        await store.put('c', new Uint8Array(1))
      }
      expect(await store.put('c', overtaken(), { condition: 'absent' })).toBe('conflict')
      expect(await chunksIn('chunks')).toBe(2)
      for (const name of ['a', 'c']) await store.delete(name)
      const manager = await jetstreamManager(connections[0]!)
      expect(await chunksIn('chunks')).toBe(0)
      expect((await manager.streams.info('OBJ_chunks')).state.messages).toBeLessThanOrEqual(1)
    })

    test('what is being put is not taken for left by a process whose clock is ahead', async () => {
      const store = natsObjects(connections[0]!, 'ahead')
      async function* slow(): AsyncGenerator<Uint8Array> {
        yield new Uint8Array(300_000)
        // More than is on the way at once, so that some of it is there.
        yield new Uint8Array(5_000_000)
        vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 3 * 3_600_000)
        try {
          await natsObjects(connections[1]!, 'ahead').put('b', new Uint8Array(1))
        } finally {
          vi.restoreAllMocks()
        }
      }
      await store.put('a', slow())
      expect(await bytesOf((await store.get('a'))!.body)).toHaveLength(5_300_000)
    })

    test('a chunk that was changed or is missing is noticed', async () => {
      const store = natsObjects(connections[0]!, 'damaged')
      await store.put('a', new Uint8Array(300_000))
      const manager = await jetstreamManager(connections[0]!)
      const { state } = await manager.streams.info('OBJ_damaged', { subjects_filter: '$O.damaged.C.>' })
      const [subject] = Object.keys(state.subjects!)
      await manager.streams.deleteMessage('OBJ_damaged', 2)
      await expect(bytesOf((await store.get('a'))!.body)).rejects.toMatchObject({ code: 'Unreachable' })
      connections[0]!.publish(subject!, new Uint8Array(131_072).fill(1))
      await connections[0]!.flush()
      await expect(bytesOf((await store.get('a'))!.body)).rejects.toMatchObject({
        code: expect.stringMatching(/Corrupted|Unreachable/) as string,
      })
    })

    test('a small object whose chunk was changed or is missing is noticed at once', async () => {
      const store = natsObjects(connections[0]!, 'small')
      await store.put('a', Buffer.from('whole'))
      const manager = await jetstreamManager(connections[0]!)
      const { state } = await manager.streams.info('OBJ_small', { subjects_filter: '$O.small.C.>' })
      const [subject] = Object.keys(state.subjects!)
      await jetstream(connections[0]!).publish(subject!, Buffer.from('other'))
      await expect(store.get('a')).rejects.toMatchObject({ code: 'Corrupted' })
      await manager.streams.purge('OBJ_small', { filter: subject! })
      await expect(store.get('a')).rejects.toMatchObject({ code: 'Unreachable' })
    })

    test('artifacts go round: publish, supersede, download, prune', async () => {
      const store = natsObjects(connections[0]!, 'artifacts')
      expect(await probeObjectStore(store)).toEqual({
        createOnly: true,
        compareAndSwap: true,
        rangeReads: true,
      })
      for (const revision of [5, 3, 7]) {
        const { directory } = await artifactAt(revision, { value: 'x'.repeat(2_000_000) })
        const { outcome } = await publishArtifact(directory, store, 'cell/routes')
        expect(outcome).toBe(revision === 3 ? 'superseded' : 'published')
      }
      const other = natsObjects(connections[1]!, 'artifacts')
      const manifest = await downloadArtifact(other, 'cell/routes', join(await scratch(), 'artifact'))
      expect(manifest?.cursor.revision).toBe(7n)
      expect(await pruneArtifacts(store, 'cell/routes', { graceMs: 0 })).toBe(1)
      expect(await namesIn(store)).toHaveLength(2)
    })

    test('artifacts go round in parts', async () => {
      await goRoundInParts(natsObjects(connections[0]!, 'parts'))
    })

    test('the API may be elsewhere: where nobody answers nothing is found', async () => {
      const store = natsObjects(connections[0]!, 'elsewhere', { apiPrefix: 'nowhere.API' })
      await expect(store.put('a', new Uint8Array(3))).rejects.toMatchObject({ code: 'Unreachable' })
      const there = natsObjects(connections[0]!, 'elsewhere', { apiPrefix: '$JS.API', replicas: 1 })
      expect(await there.put('a', new Uint8Array(3))).not.toBe('conflict')
    })

    test('a name that is none of a bucket is a TypeError', () => {
      for (const name of ['', 'a.b', 'a b', '*', '>'])
        expect(() => natsObjects(connections[0]!, name)).toThrow(TypeError)
    })
  })
}

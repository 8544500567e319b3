import { setTimeout as sleep } from 'node:timers/promises'
import { NatsConnection, natsConnect } from '@slip/nats'
import { natsServerOrSkip, startNatsServer } from '@slip/nats-server'
import { expect, test, vi } from 'vitest'

const { skip } = await natsServerOrSkip()

test.skipIf(skip)(
  'a closed handle on a borrowed connection stays closed, whatever becomes of the connection',
  async () => {
    await using server = await startNatsServer()
    const client = await natsConnect({ servers: server.url })
    try {
      const handle = NatsConnection.from(client)
      const other = NatsConnection.from(client)
      const store = await handle.store('b', {})
      await vi.waitFor(() => expect(handle.healthy).toBe(true))
      const closing = handle.close()
      await handle.close()
      await closing

      await server.restart()
      await vi.waitFor(() => expect(other.healthy).toBe(true), 10_000)
      expect(handle.healthy).toBe(false)
      await sleep(1_500)
      expect(handle.healthy).toBe(false)
      expect(handle.toJSON()).toMatchObject({ healthy: false, closed: true })

      const closed = { name: 'KvError', code: 'Closed' }
      await expect(handle.store('b', {})).rejects.toMatchObject(closed)
      await expect(handle.bucketInfo('b')).rejects.toMatchObject(closed)
      await expect(handle.deleteBucket('b')).rejects.toMatchObject(closed)
      await expect(store.reader.get('k')).rejects.toMatchObject(closed)
      await expect(store.reader.entry('k')).rejects.toMatchObject(closed)
      await expect(store.writer.put('k', 'v')).rejects.toMatchObject(closed)
      const { signal } = new AbortController()
      await expect(
        store.watcher.watch('all', { signal })[Symbol.asyncIterator]().next(),
      ).rejects.toMatchObject(closed)

      expect(await (await other.store('b')).reader.get('k')).toBeUndefined()
      await other.close()
      expect(client.isClosed()).toBe(false)
    } finally {
      await client.close()
    }
  },
)

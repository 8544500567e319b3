import { MemoryConnection } from '@slip/memory'
import { expect, test } from 'vitest'
import { codeOf, textOf } from './harness.ts'

async function open(config = {}) {
  const connection = new MemoryConnection()
  return { connection, store: await connection.store('b', config) }
}

test('a listing has the live keys under a byte prefix and no tombstones or markers', async () => {
  const { store } = await open()
  for (const key of ['r.a', 'r.b', 'r.c', 'r.d', 'ro', 's']) await store.writer.put(key, `v-${key}`)
  await store.writer.delete('r.b')
  await store.purger.purge('r.c')
  await store.writer.put('r.d', '')
  const keys = []
  const listing = store.reader.keys('r.')
  for await (const { key, version } of listing) keys.push(`${key}@${version.revision}`)
  expect(keys).toEqual(['r.a@1'])
  expect((await listing.validAt).revision).toBe(9n)
  const entries = []
  for await (const { key, value } of store.reader.scan()) entries.push(`${key}=${textOf(value)}`)
  expect(entries).toEqual(['r.a=v-r.a', 'ro=v-ro', 's=v-s'])
})

test.each([1, 4])(
  'a listing is exact at its revision under concurrent writes, with a history of %i',
  async (history) => {
    const seed = Number(process.env['SLIP_SEED'] ?? Date.now() % 1_000_000)
    console.log(`SLIP_SEED=${seed}`)
    let state = seed
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
      return Math.floor((state / 0x8000_0000) * below)
    }
    const { connection, store } = await open({ history })
    const model = new Map<string, string>()
    const writeSome = async (track: boolean): Promise<void> => {
      const key = `k${random(200)}`
      const choice = random(10)
      if (choice < 6) {
        const { revision } = await store.writer.put(key, 'x')
        if (track) model.set(key, `${key}@${revision}`)
      } else if (choice < 8) {
        await store.writer.delete(key)
        if (track) model.delete(key)
      } else if (choice < 9) {
        await store.purger.purge(key)
        if (track) model.delete(key)
      } else if (!track) connection.faults.evict('b', 1)
    }
    for (let i = 0; i < 1_000; i++) await writeSome(true)
    const { lastRevision } = await store.watcher.describe('all')
    const listing = store.reader.keys()
    const listed: string[] = []
    for await (const { key, version } of listing) {
      listed.push(`${key}@${version.revision}`)
      for (let i = 0; i < 5; i++) await writeSome(false)
    }
    expect(listed.sort()).toEqual([...model.values()].sort())
    expect((await listing.validAt).revision).toBe(lastRevision)
  },
)

test('validAt of a listing that was left rejects', async () => {
  const { store } = await open()
  await store.writer.put('a', '1')
  await store.writer.put('b', '1')
  const listing = store.reader.keys()
  for await (const _ of listing) break
  expect(await codeOf(listing.validAt)).toBe('Closed')
})

test('a listing of a lost connection rejects, validAt as well', async () => {
  const { connection, store } = await open()
  connection.faults.disconnect()
  const listing = store.reader.keys()
  const run = async () => {
    for await (const _ of listing) expect.unreachable()
  }
  expect(await codeOf(run())).toBe('Unreachable')
  expect(await codeOf(listing.validAt)).toBe('Unreachable')
})

test('a listing can be iterated once', async () => {
  const { store } = await open()
  const listing = store.reader.keys()
  for await (const _ of listing) expect.unreachable()
  const again = async () => {
    for await (const _ of listing) expect.unreachable()
  }
  await expect(again()).rejects.toThrow(TypeError)
})

test('a listing gives the revision that was the newest, although it was removed and the older one uncovered', async () => {
  const { connection, store } = await open({ history: 2 })
  await store.writer.put('first', '1')
  await store.writer.put('a', 'old')
  await store.writer.put('a', 'new')
  const listed = []
  for await (const { key, value } of store.reader.scan()) {
    connection.faults.removeMessage('b', 3n)
    listed.push(`${key}=${textOf(value)}`)
  }
  expect(listed).toEqual(['first=1', 'a=new'])
})

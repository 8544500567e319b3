import { KvError, VersionToken } from '@slip/kv-core'
import { MemoryConnection } from '@slip/memory'
import { expect, test } from 'vitest'
import { codeOf, textOf } from './harness.ts'

async function bucket() {
  const connection = new MemoryConnection()
  const { writer, reader, purger } = await connection.store('b', {})
  return { connection, writer, reader, purger }
}

test('each write gets the next revision of its bucket', async () => {
  const { writer } = await bucket()
  expect((await writer.put('a', '1')).revision).toBe(1n)
  expect((await writer.delete('zz')).revision).toBe(2n)
  expect((await writer.put('a', '2')).revision).toBe(3n)
})

test('a value belongs to the bucket: changing the bytes that were written or read changes nothing', async () => {
  const { writer, reader } = await bucket()
  const value = Buffer.from('abc')
  await writer.put('a', value)
  value[0] = 0
  const read = await reader.get('a')
  read!.value[1] = 0
  expect(textOf((await reader.get('a'))!.value)).toBe('abc')
})

test('create works on an absent, deleted and purged key only', async () => {
  const { writer, purger, reader } = await bucket()
  await writer.create('a', '1')
  expect(await codeOf(writer.create('a', '2'))).toBe('AlreadyExists')
  await writer.delete('a')
  await writer.create('a', '3')
  await purger.purge('a')
  await writer.create('a', '4')
  expect(textOf((await reader.get('a'))!.value)).toBe('4')
})

test('update and deleteWithVersion only win at the expected revision', async () => {
  const { writer, reader } = await bucket()
  const first = await writer.put('a', '1')
  const second = await writer.update('a', '2', first)
  expect(await codeOf(writer.update('a', '3', first))).toBe('RevisionMismatch')
  expect(await codeOf(writer.update('a', '3', VersionToken.fromHex('0011')))).toBe('RevisionMismatch')
  expect(await codeOf(writer.deleteWithVersion('a', first))).toBe('RevisionMismatch')
  const tombstone = await writer.deleteWithVersion('a', second)
  expect(await reader.get('a')).toBeUndefined()
  expect((await reader.entry('a'))!.version.equals(tombstone)).toBe(true)
  expect(await codeOf(writer.create('a', '4'))).toBe('AlreadyExists')
  await writer.update('a', '4', tombstone)
})

test('a delete marker can be updated at its revision', async () => {
  const { writer, reader } = await bucket()
  await writer.put('a', '1')
  const marker = await writer.delete('a')
  expect(await reader.entry('a')).toBeUndefined()
  await writer.update('a', '2', marker)
})

test.each(['', '.a', 'a.', 'a..b', 'a b', 'a*', 'a>', 'ä', 'a\n', 'a$'])(
  'the key %j is refused',
  async (key) => {
    const { writer, reader } = await bucket()
    expect(await codeOf(writer.put(key, '1'))).toBe('InvalidKey')
    expect(await codeOf(reader.get(key))).toBe('InvalidKey')
  },
)

test.each(['a', 'A.b-c_d/e=f.9', '-', '/x/'])('the key %j is taken', async (key) => {
  const { writer, reader } = await bucket()
  await writer.put(key, '1')
  expect((await reader.get(key))!.key).toBe(key)
})

test('bulk gives one outcome for each operation in order, refusals included', async () => {
  const { writer } = await bucket()
  const outcomes = []
  const operations = [
    { operation: 'put', key: 'a', value: '1' },
    { operation: 'create', key: 'a', value: '2' },
    { operation: 'put', key: 'a b', value: '3' },
    { operation: 'delete', key: 'a' },
  ] as const
  for await (const outcome of writer.bulk(operations))
    outcomes.push('error' in outcome ? outcome.error.code : outcome.version.revision)
  expect(outcomes).toEqual([1n, 'AlreadyExists', 'InvalidKey', 2n])
})

test('bulk ends with the error when the connection is lost, and not with a list of them', async () => {
  const { writer, connection } = await bucket()
  connection.faults.disconnect()
  const run = async () => {
    for await (const _ of writer.bulk([{ operation: 'put', key: 'a', value: '1' }])) expect.unreachable()
  }
  expect(await codeOf(run())).toBe('Unreachable')
})

test('opening an existing bucket reports the settings that differ and changes none', async () => {
  const connection = new MemoryConnection()
  await connection.store('b', { history: 3, maxBytes: 1000 })
  const again = await connection.store('b', { history: 5, maxBytes: 1000, maxAgeMs: 10 })
  expect(again.drift).toEqual([
    { setting: 'history', wanted: 5, found: 3 },
    { setting: 'maxAgeMs', wanted: 10, found: undefined },
  ])
  expect((await connection.store('b')).drift).toEqual([])
})

test('settings no server accepts are a RangeError', async () => {
  const connection = new MemoryConnection()
  for (const config of [{ history: 0 }, { history: 65 }, { maxBytes: 0 }, { maxAgeMs: 1.5 }])
    await expect(connection.store('x', config)).rejects.toThrow(RangeError)
  await expect(connection.store('a b', {})).rejects.toThrow(TypeError)
})

test('a bucket that is not there, a lost and a closed connection are three different errors', async () => {
  const connection = new MemoryConnection()
  expect(await codeOf(connection.store('none'))).toBe('BucketNotFound')
  const store = await connection.store('b', {})
  connection.faults.disconnect()
  expect(connection.healthy).toBe(false)
  expect(await codeOf(store.reader.get('a'))).toBe('Unreachable')
  connection.faults.reconnect()
  expect(connection.healthy).toBe(true)
  expect(await store.reader.get('a')).toBeUndefined()
  await connection.deleteBucket('b')
  expect(await codeOf(store.reader.get('a'))).toBe('BucketNotFound')
  await connection.close()
  expect(await codeOf(store.reader.get('a'))).toBe('Closed')
})

test('an abort rejects with the reason of the signal itself', async () => {
  const { reader, writer } = await bucket()
  const signal = AbortSignal.abort('why')
  await expect(reader.get('a', { signal })).rejects.toBe('why')
  await expect(writer.put('a', '1', { signal })).rejects.toBe('why')
  expect(KvError.is('why')).toBe(false)
})

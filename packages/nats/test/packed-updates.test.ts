import { VersionToken, type KvUpdate } from '@slip/kv-core'
import { expect, test } from 'vitest'
import { Intake } from '../src/session/intake.ts'
import { PackedQueue } from '../src/session/packed-updates.ts'

const MIB = 1024 * 1024

test('every kind of update comes back as it was, in its order', () => {
  const updates: KvUpdate[] = [
    put('a', 'one', 1n),
    { ...put('b', '', 2n), writtenAtMs: 1_764_000_000_123 },
    { operation: 'delete', key: 'c', version: version(3n), reason: 'tombstone', writtenAtMs: 5 },
    { ...put('ключ.d', 'two', 4n), writtenAtMs: 0, expiresAtMs: 1_764_000_000_456 },
    { ...put('e', 'three', 5n), expiresAtMs: 7 },
    { operation: 'purge', key: 'f', version: version(6n) },
    {
      operation: 'put',
      key: 'g',
      value: Buffer.from('four'),
      version: VersionToken.fromHex('00112233445566778899'),
    },
    { operation: 'put', key: 'h', value: Buffer.from('five'), version: VersionToken.unknown },
    put('i', 'six', BigInt(Number.MAX_SAFE_INTEGER)),
    put('j', 'seven', 2n ** 63n + 1n),
    put('k'.repeat(65_536), 'eight', 11n),
    put('я'.repeat(30_000), 'nine', 12n),
  ]
  const queue = new PackedQueue()
  expect(plain(queue.unpack([queue.pack(updates)]))).toEqual(plain(updates))
})

test('values of any size come back, and stay as they are when their memory is used again', () => {
  const queue = new PackedQueue()
  const sizes = [0, 1, 200, 64 * 1024, 64 * 1024 + 1, 256 * 1024 - 30, 256 * 1024, 3 * MIB]
  const rounds = Array.from({ length: 12 }, (_, round) =>
    sizes.map((size, i) => put(`k${round}.${i}`, Buffer.alloc(size, round + 1), BigInt(round * 100 + i))),
  )
  const packed = rounds.map((updates) => queue.pack(updates))
  const unpacked: KvUpdate[][] = []
  for (const [round, updates] of rounds.entries()) {
    unpacked.push(queue.unpack([packed[round]!]))
    // Something else takes the place of what was unpacked.
    packed.push(queue.pack(updates.map((update) => ({ ...update, value: Buffer.alloc(200, 0xff) }))))
  }
  expect(unpacked.map(plain)).toEqual(rounds.map(plain))
})

test('a reader that is behind gets what one that is not gets', async () => {
  const behind = new Intake(() => undefined, 0)
  const sent: KvUpdate[] = []
  for (let revision = 1n; revision <= 60_000n; revision++) {
    const update: KvUpdate =
      revision % 7n === 0n
        ? { operation: 'delete', key: `k${revision}`, version: version(revision) }
        : put(`k${revision}`, Buffer.alloc(200, `${revision}`), revision)
    sent.push(update)
  }
  const received: KvUpdate[] = []
  for (const update of sent) behind.received(update, 250, Number(update.version.revision))
  expect(behind.peakBytes).toBeGreaterThan(8 * MIB)
  while (received.length < sent.length) {
    const { updates, bookmark } = await behind.take()
    received.push(...updates)
    expect(bookmark?.revision).toBe(updates.at(-1)!.version.revision)
  }
  expect(plain(received)).toEqual(plain(sent))
  expect(behind.queuedBytes).toBe(0)
})

test('a reader that comes now and then gets all in order, whatever was packed of the newest batch by then', async () => {
  const intake = new Intake(() => undefined, 0)
  const sent: KvUpdate[] = []
  const received: KvUpdate[] = []
  // Pieces that no limit of the queue is a multiple of.
  for (let piece = 0; piece < 60; piece++) {
    for (let i = 0; i < 1 + ((piece * 89) % 700); i++) {
      const revision = BigInt(sent.length + 1)
      const update = put(`k${revision}`, Buffer.alloc((piece * 7 + i) % 900, `${revision}`), revision)
      sent.push(update)
      intake.received(update, 300, Number(revision))
    }
    if (piece % 3 === 0) received.push(...(await intake.take()).updates)
  }
  expect(intake.peakBytes).toBeGreaterThan(MIB / 2)
  while (received.length < sent.length) received.push(...(await intake.take()).updates)
  expect(plain(received)).toEqual(plain(sent))
  expect(intake.queuedBytes).toBe(0)
})

test('of what waits behind others hardly any is an object of its own', async () => {
  const collect = globalThis.gc
  if (collect === undefined) throw new Error('this test needs --expose-gc')
  const intake = new Intake(() => undefined, 0)
  const sent: WeakRef<KvUpdate>[] = []
  for (let revision = 1n; revision <= 20_400n; revision++) {
    const update = put(`k${revision}`, Buffer.alloc(200, `${revision}`), revision)
    sent.push(new WeakRef(update))
    intake.received(update, 300, Number(revision))
  }
  // A reference that was made in this turn is held to its end.
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  expect(intake.queuedBytes).toBeGreaterThan(5 * MIB)
  expect(sent.filter((update) => update.deref() !== undefined).length).toBeLessThan(1_300)
})

function version(revision: bigint): VersionToken {
  return VersionToken.fromRevision(revision)
}

function put(
  key: string,
  value: string | Uint8Array,
  revision: bigint,
): Extract<KvUpdate, { operation: 'put' }> {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : new Uint8Array(value)
  return { operation: 'put', key, value: bytes, version: version(revision) }
}

function plain(updates: readonly KvUpdate[]): unknown[] {
  return updates.map((update) => ({
    ...update,
    version: update.version.toHex(),
    ...(update.operation === 'put' ? { value: Buffer.from(update.value).toString('base64') } : {}),
  }))
}

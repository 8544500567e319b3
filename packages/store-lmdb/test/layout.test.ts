import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { VersionToken, WatchCursor, type SliceMessage } from '@slip/kv-core'
import { expect, test } from 'vitest'
import { encodeBatch, eachStep } from '../src/batch-encoder.ts'
import { readEntry, recordIsIntact, sealOf } from '../src/fold-record.ts'
import { decodeLineageRow, decodeState, encodeLineageRow, encodeState } from '../src/fold-state.ts'
import { arrivalKey, decodeLayers, encodeLayers, runName } from '../src/layer-row.ts'
import { hashedKey } from '../src/stored-key.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const SEAL = sealOf({ foldId: new Uint8Array(16).fill(7) })
const version = VersionToken.fromRevision(0x0102030405060708n)

/** The steps of a batch of one, as the file holds them. */
async function stored(
  update: Parameters<typeof encodeBatch>[0][number],
): Promise<[number, Uint8Array, Uint8Array]> {
  const steps: [number, Uint8Array, Uint8Array][] = []
  const batch = await encodeBatch([update], SEAL)
  eachStep(batch, ({ what, keyFrom, keyTo, to }) =>
    steps.push([what, batch.subarray(keyFrom, keyTo), batch.subarray(keyTo, to)]),
  )
  expect(steps).toHaveLength(1)
  return steps[0]!
}

test('a record is these bytes', async () => {
  const value = Buffer.from('value')
  const [what, key, record] = await stored({ operation: 'put', key: 'node.a', value, version })
  expect([what, Buffer.from(key).toString(), hex(record)]).toEqual([
    1,
    'node.a',
    '71d6e5b708010203040506070876616c7565',
  ])
  const [, , expiring] = await stored({
    operation: 'put',
    key: 'node.a',
    value,
    version,
    expiresAtMs: 1_700_000_000_123,
  })
  expect(hex(expiring)).toBe('cb09433388010203040506070800b08756febc784276616c7565')
  expect(readEntry(expiring, expiring.length, 'node.a')).toEqual({
    key: 'node.a',
    value: Uint8Array.from(value),
    version,
    expiresAtMs: 1_700_000_000_123,
  })
  const [removed, , removal] = await stored({
    operation: 'delete',
    key: 'node.a',
    version: VersionToken.unknown,
  })
  expect([removed, hex(removal)]).toEqual([2, '873c26d100'])
})

test('a large value is copied in slices, and its record is that of a value that fits one', async () => {
  const slices: number[] = []
  const listener = (message: unknown): void => void slices.push((message as SliceMessage).ms)
  const value = Buffer.alloc(24 * 1024 * 1024 + 7)
  for (let at = 0; at < value.length; at += 4_096) value.writeUInt32LE(at, at)
  const [key, long] = [Buffer.from('node.a'), 'k'.repeat(500)]
  subscribe('slip:slice', listener)
  const batch = await encodeBatch(
    [
      { operation: 'put', key: 'small', value: Buffer.from('v'), version },
      { operation: 'put', key: 'node.a', value, version },
      { operation: 'put', key: long, value: value.subarray(0, 700_000), version, expiresAtMs: 1 },
    ],
    SEAL,
  )
  unsubscribe('slip:slice', listener)
  const records: Uint8Array[] = []
  const stored: Uint8Array[] = []
  eachStep(batch, ({ keyFrom, keyTo, to }) => {
    stored.push(batch.subarray(keyFrom, keyTo))
    records.push(batch.subarray(keyTo, to))
  })
  expect(records).toHaveLength(3)
  for (const [i, record] of records.entries())
    expect(recordIsIntact(record, record.length, stored[i]!, SEAL)).toBe(true)
  expect(Buffer.compare(readEntry(records[1]!, records[1]!.length, 'node.a').value, value)).toBe(0)
  const last = readEntry(records[2]!, records[2]!.length, stored[2]!)
  expect([last.key, last.expiresAtMs]).toEqual([long, 1])
  expect(Buffer.compare(last.value, value.subarray(0, 700_000))).toBe(0)
  expect(hex(stored[1]!)).toBe(hex(key))
  console.log(`${slices.length} slices, ${Math.max(...slices).toFixed(1)} ms at most`)
  // Some 50 stretches, several of them a slice.
  expect(slices.length).toBeGreaterThan(4)
})

test('a long key is stored as its first bytes and a digest, and is whole in its record', async () => {
  const long = 'k'.repeat(480)
  const [, key, record] = await stored({ operation: 'put', key: long, value: Buffer.from('v'), version })
  expect(hex(key)).toBe('6b'.repeat(479) + '739219395f5d3bee3b386883cf37e968cd0b1f4ff486e7aace0b3371e765bc9f')
  expect(hex(record)).toBe(`19690b64080102030405060708e001${'6b'.repeat(480)}76`)
  expect(hex(hashedKey(Buffer.from(long)))).toBe(hex(key))
  expect(readEntry(record, record.length, key).key).toBe(long)
})

test('any flipped bit of a record, and any other key, fails its checksum', async () => {
  const [, key, record] = await stored({
    operation: 'put',
    key: 'node.a',
    value: Buffer.from('value'),
    version,
  })
  expect(recordIsIntact(record, record.length, key, SEAL)).toBe(true)
  expect(recordIsIntact(record, record.length, key, SEAL + 1), 'of another fold').toBe(false)
  expect(recordIsIntact(record, record.length, Buffer.from('node.b'), SEAL)).toBe(false)
  for (let bit = 0; bit < record.length * 8; bit++) {
    const damaged = Buffer.from(record)
    damaged[bit >> 3]! ^= 1 << (bit & 7)
    expect(recordIsIntact(damaged, damaged.length, key, SEAL), `bit ${bit}`).toBe(false)
  }
  for (let length = 0; length < record.length; length++)
    expect(recordIsIntact(record.subarray(0, length), length, key, SEAL)).toBe(false)
})

test('the state row and the lineage row are these bytes, and a damaged or newer one is refused', () => {
  const state = {
    cursor: WatchCursor.fromRevision(812n),
    foldId: Uint8Array.from({ length: 16 }, (_, i) => i),
    epoch: 3n,
    commit: 99n,
    entries: 1_000_000,
    deletedKeys: 7,
  }
  const bytes = encodeState(state)
  expect(hex(bytes)).toBe(
    '380cfe970200000102030405060708090a0b0c0d0e0f0300000000000000630000000000000040420f0000000000070000000000000008000000000000032c',
  )
  const read = decodeState(bytes, bytes.length)
  expect({ ...read, cursor: read.cursor.toHex() }).toEqual({ ...state, cursor: state.cursor.toHex() })
  const lineage = encodeLineageRow(Uint8Array.of(1, 2, 3))
  expect(hex(lineage)).toBe('1ef230f1010203')
  expect(decodeLineageRow(lineage, lineage.length)).toEqual(Uint8Array.of(1, 2, 3))
  for (const row of [bytes, lineage])
    for (let bit = 0; bit < row.length * 8; bit++) {
      const damaged = Buffer.from(row)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      const read = row === bytes ? decodeState : decodeLineageRow
      expect(() => read(damaged, damaged.length), `bit ${bit}`).toThrow(
        expect.objectContaining({ code: 'Corrupted' }),
      )
    }
})

test('the list of layers is these bytes, and any other is damage', () => {
  const layers = { base: { entries: 3, deletedKeys: 1 }, runs: [5, 258], arrivals: { from: 7, to: 9 } }
  const bytes = encodeLayers(layers)
  expect(hex(bytes.subarray(4))).toBe(
    '03000000000000000100000000000000070000000900000002000000' + '0500000002010000',
  )
  expect(decodeLayers(bytes, bytes.length)).toEqual(layers)
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const flipped = bytes.slice()
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    expect(() => decodeLayers(flipped, flipped.length)).toThrow('checksum')
  }
  for (let length = 0; length < bytes.length; length++)
    expect(() => decodeLayers(bytes.slice(0, length), length)).toThrow('checksum')
  expect([runName(12), arrivalKey(0x0102_03ff)]).toEqual(['run-000012', '\u0001\u0002\u0003\u00ff'])
})

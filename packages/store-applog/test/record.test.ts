import { SnapshotError, VersionToken, type KvUpdate } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import {
  MAX_RECORD_KEY_BYTES,
  RecordFault,
  recordExpiresAtMs,
  recordIsPut,
  recordKeyAt,
  recordKeyBytes,
  recordLength,
  recordLengthOf,
  recordSize,
  recordValueBytes,
  writeRecord,
} from '../src/record.ts'
import { encode, put, removal } from './memory-model.ts'

describe('a record', () => {
  test('has this layout, to the byte', () => {
    const hex = (update: KvUpdate): string => Buffer.from(encode([update])).toString('hex')
    expect(hex(put('ab', 'xyz', 258))).toBe('0108020003000000' + '6162' + '0000000000000102' + '78797a')
    expect(hex(put('ab', 'x', 1, 1_700_000_000_123))).toBe(
      '0308020001000000' + '00b08756febc7842' + '6162' + '0000000000000001' + '78',
    )
    expect(hex(removal('é', 3))).toBe('0208020000000000' + 'c3a9' + '0000000000000003')
    expect(hex({ operation: 'purge', key: 'k', version: VersionToken.unknown })).toBe(
      '0200010000000000' + '6b',
    )
  })

  test.each([
    ['an empty key', put('', 'v', 1)],
    ['an empty value', put('k', '', 1)],
    ['a key of 65,535 bytes', put('k'.repeat(MAX_RECORD_KEY_BYTES), 'v', 1)],
    ['a key with every width of UTF-8', put('a\0é\uE000\uFFFF😀', 'v', 1)],
    ['ten bytes of version', { ...put('k', 'v', 1), version: VersionToken.fromHex('00112233445566778899') }],
    ['an expiry', put('k', 'v', 1, 1234.5)],
    ['a removal', removal('k', 1)],
  ])('says its own length and parts: %s', (_, update) => {
    const size = recordSize(update)
    const bytes = new Uint8Array(size + 7).fill(0xee)
    expect(writeRecord(bytes, 3, update)).toBe(3 + size)
    expect([...bytes.subarray(0, 3), ...bytes.subarray(3 + size)]).toEqual(Array(7).fill(0xee))
    expect(recordLength(bytes, 3, 3 + size)).toBe(size)
    expect(recordLengthOf(bytes, 3)).toBe(size)
    expect(recordIsPut(bytes, 3)).toBe(update.operation === 'put')
    expect(recordValueBytes(bytes, 3)).toBe(update.operation === 'put' ? update.value.length : 0)
    expect(recordExpiresAtMs(bytes, 3)).toBe(update.operation === 'put' ? update.expiresAtMs : undefined)
    const keyAt = recordKeyAt(bytes, 3)
    const key = Buffer.from(bytes.subarray(keyAt, keyAt + recordKeyBytes(bytes, 3))).toString('utf8')
    expect(key).toBe(update.key)
  })

  test('cut anywhere is truncated, never read past its end', () => {
    const bytes = encode([put('key', 'value', 1, 5)])
    for (let end = 0; end < bytes.length; end++)
      expect(recordLength(bytes, 0, end)).toBe(RecordFault.truncated)
  })

  test.each<[string, number, number[], number]>([
    ['type 0', 0, [0], RecordFault.unknownType],
    ['type 4', 0, [4], RecordFault.unknownType],
    ['a version of 11 bytes', 1, [11], RecordFault.version],
    ['a key that is not UTF-8', 16, [0xff], RecordFault.key],
    ['a key that is half a character', 18, [0xc3], RecordFault.key],
    ['a key with an encoded surrogate', 16, [0xed, 0xa0, 0x80], RecordFault.key],
    ['a removal with a value', 0, [2], RecordFault.value],
    ['a value of 4 GiB', 4, [255, 255, 255, 255], RecordFault.value],
    ['an expiry that is no number', 8, [0, 0, 0, 0, 0, 0, 0xf8, 0x7f], RecordFault.expiry],
  ])('is refused with %s', (_, at, damage, fault) => {
    const bytes = encode([put('key', 'value', 1, 5)])
    bytes.set(damage, at)
    expect(recordLength(bytes, 0, bytes.length)).toBe(fault)
  })

  test('is refused before it is written when the key is too long, or has no UTF-8 form', () => {
    const tooLong = put('é'.repeat(MAX_RECORD_KEY_BYTES / 2 + 1), 'v', 1)
    expect(() => recordSize(tooLong)).toThrow(
      expect.objectContaining({ code: 'LimitExceeded' }) as SnapshotError,
    )
    expect(() => recordSize(put('a\ud800', 'v', 1))).toThrow(TypeError)
  })
})

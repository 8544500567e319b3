import { decodeValueRecord, encodeValueRecord, SnapshotError, VersionToken } from '@slip/kv-core'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { seed } from './seed.ts'

test('a value record is the length of the version, the version, the value', () => {
  const value = new TextEncoder().encode('v1')
  const bytes = encodeValueRecord({ version: VersionToken.fromRevision(258n), value })
  expect(Buffer.from(bytes).toString('hex')).toBe('0800000000000001027631')
})

test('any version and value are read back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 10 }), fc.uint8Array({ maxLength: 30 }), (version, value) => {
      const record = decodeValueRecord(encodeValueRecord({ version: VersionToken.fromBytes(version), value }))
      expect(record.version.toHex()).toBe(Buffer.from(version).toString('hex'))
      expect([...record.value]).toEqual([...value])
    }),
    { seed },
  )
})

test.each([
  ['nothing', []],
  ['a version cut short', [8, 0, 0, 0]],
  ['a version of 11 bytes', [11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
])('%s is InvalidFormat', (_what, bytes) => {
  let code: unknown
  try {
    decodeValueRecord(Uint8Array.from(bytes))
  } catch (error) {
    code = SnapshotError.is(error) && error.code
  }
  expect(code).toBe('InvalidFormat')
})

import { bytesToHex, hexToBytes, VersionToken } from '@slip/kv-core'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seed } from './seed.ts'

const tokenBytes = fc.uint8Array({ maxLength: 10 })

describe('version tokens', () => {
  test('keep 0 to 10 bytes exactly, as bytes and as hex', () => {
    fc.assert(
      fc.property(tokenBytes, (bytes) => {
        const token = VersionToken.fromBytes(bytes)
        expect([...token.toBytes()]).toEqual([...bytes])
        expect(token.byteLength).toBe(bytes.length)
        expect(token.toHex()).toBe(Buffer.from(bytes).toString('hex'))
        expect(VersionToken.fromHex(token.toHex().toUpperCase()).equals(token)).toBe(true)
      }),
      { seed },
    )
  })

  test('refuse 11 bytes, and hex that is none', () => {
    expect(() => VersionToken.fromBytes(new Uint8Array(11))).toThrow(RangeError)
    expect(() => VersionToken.fromHex('abc')).toThrow(RangeError)
    expect(() => VersionToken.fromHex('zz')).toThrow(RangeError)
  })

  test('a revision is its 8 bytes big-endian, and only 8 bytes have one', () => {
    expect(VersionToken.fromRevision(257n).toHex()).toBe('0000000000000101')
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (revision) => {
        const token = VersionToken.fromRevision(revision)
        expect(token.revision).toBe(revision)
        expect(token.toHex()).toBe(revision.toString(16).padStart(16, '0'))
      }),
      { seed },
    )
    for (const length of [0, 1, 7, 9, 10])
      expect(VersionToken.fromBytes(new Uint8Array(length)).revision).toBeUndefined()
    expect(() => VersionToken.fromRevision(2n ** 64n)).toThrow(RangeError)
    expect(() => VersionToken.fromRevision(-1n)).toThrow(RangeError)
  })

  test('no bytes are unknown', () => {
    expect(VersionToken.unknown.isUnknown).toBe(true)
    expect(VersionToken.fromBytes(new Uint8Array())).toBe(VersionToken.unknown)
    expect(VersionToken.fromRevision(0n).isUnknown).toBe(false)
  })

  test('equality is over length and bytes', () => {
    fc.assert(
      fc.property(tokenBytes, tokenBytes, (a, b) => {
        const equal = VersionToken.fromBytes(a).equals(VersionToken.fromBytes(b))
        expect(equal).toBe(Buffer.compare(a, b) === 0)
      }),
      { seed },
    )
    expect(VersionToken.fromHex('00').equals(VersionToken.fromHex('0000'))).toBe(false)
  })

  test('what is given or handed out may be changed without changing the token', () => {
    const given = Uint8Array.of(1, 2, 3)
    const token = VersionToken.fromBytes(given)
    given[0] = 9
    token.toBytes()[1] = 9
    expect(token.toHex()).toBe('010203')
  })
})

test('hex has two lower-case digits a byte and is read back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(bytesToHex(bytes)).toBe(Buffer.from(bytes).toString('hex'))
      expect([...hexToBytes(bytesToHex(bytes))]).toEqual([...bytes])
    }),
    { seed },
  )
})

import { SnapshotError, VersionToken, WatchCursor } from '@slip/kv-core'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seed } from './seed.ts'

function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return SnapshotError.is(error) ? error.code : String(error)
  }
  return 'accepted'
}

const WITH_MEMO = '000000000000010100000801'
const WITH_TIME = '0000000000000101000008037b68e5cf8b010000'

describe('cursors', () => {
  test('without a memo the bytes are those of the token', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 10 }), (bytes) => {
        const cursor = WatchCursor.fromBytes(bytes)
        expect([...cursor.toBytes()]).toEqual([...bytes])
        expect(cursor.isNone).toBe(bytes.length === 0)
        expect(cursor.memo).toBeUndefined()
      }),
      { seed },
    )
  })

  test('revision 257 with the memo, and with memo and time, have the documented bytes', () => {
    const token = VersionToken.fromRevision(257n)
    expect(WatchCursor.fromToken(token, { evictionSeen: true }).toHex()).toBe(WITH_MEMO)
    const timed = WatchCursor.fromToken(token, { evictionSeen: true, serverTimeMs: 1_700_000_000_123n })
    expect(timed.toHex()).toBe(WITH_TIME)
    const read = WatchCursor.fromHex(WITH_TIME)
    expect(read.revision).toBe(257n)
    expect(read.memo).toEqual({ evictionSeen: true, serverTimeMs: 1_700_000_000_123n })
    expect(WatchCursor.fromHex(WITH_MEMO).memo).toEqual({ evictionSeen: true })
  })

  test('padding is ignored, and a memo without its flag reads as a bare cursor', () => {
    expect(WatchCursor.fromHex('0000000000000101ffff0801').toHex()).toBe(WITH_MEMO)
    const bare = WatchCursor.fromHex('000000000000010100000800')
    expect(bare.toHex()).toBe('0000000000000101')
    expect(bare.memo).toBeUndefined()
  })

  test('a none cursor with a memo is kept', () => {
    const cursor = WatchCursor.fromToken(VersionToken.unknown, { evictionSeen: true })
    expect(cursor.isNone).toBe(true)
    expect(WatchCursor.fromBytes(cursor.toBytes()).memo).toEqual({ evictionSeen: true })
  })

  test.each([
    ['11 bytes', '00'.repeat(11)],
    ['13 bytes', '00'.repeat(13)],
    ['19 bytes', '00'.repeat(19)],
    ['21 bytes', '00'.repeat(21)],
    ['an inner length of 11', '00'.repeat(10) + '0b01'],
    ['an unknown flag', '00'.repeat(10) + '0805'],
    ['a time flag without a time', '00'.repeat(10) + '0803'],
    ['a time without its flag', '00'.repeat(10) + '080101'.repeat(8)],
    ['a time of zero', '00'.repeat(10) + '080300'.repeat(8)],
  ])('%s are refused as InvalidFormat', (_what, hex) => {
    expect(refusal(() => WatchCursor.fromHex(hex))).toBe('InvalidFormat')
  })

  test('equality counts the memo but not its time', () => {
    const token = VersionToken.fromRevision(5n)
    const memo = WatchCursor.fromToken(token, { evictionSeen: true })
    const timed = WatchCursor.fromToken(token, { evictionSeen: true, serverTimeMs: 9n })
    expect(memo.equals(timed)).toBe(true)
    expect(memo.equals(WatchCursor.fromToken(token))).toBe(false)
    expect(WatchCursor.fromRevision(5n).equals(WatchCursor.fromRevision(6n))).toBe(false)
  })

  test('any bytes are a cursor that reads back equal, or a typed refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
        let cursor: WatchCursor
        try {
          cursor = WatchCursor.fromBytes(bytes)
        } catch (error) {
          expect(SnapshotError.is(error) && error.code).toBe('InvalidFormat')
          return
        }
        expect(WatchCursor.fromBytes(cursor.toBytes()).equals(cursor)).toBe(true)
      }),
      { seed, numRuns: 500 },
    )
  })
})

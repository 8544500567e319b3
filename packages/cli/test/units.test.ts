import { KvError, SnapshotError, VersionToken } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { parseInputLine } from '../src/bucket/input-lines.ts'
import { durationMs, sizeBytes, wholeNumber } from '../src/command/units.ts'
import { explain } from '../src/output/exit-code.ts'
import { keyLine, revisionJson, shown } from '../src/output/wire.ts'

test.each([
  ['500ms', 500],
  ['2s', 2_000],
  ['1.5h', 5_400_000],
  ['7d', 604_800_000],
])('the duration %s is %i ms', (text, ms) => expect(durationMs(text, 'x')).toBe(ms))

test.each(['', '5', 's', '-1s', '1w', '1s ', '1e3s'])('%j is no duration', (text) =>
  expect(() => durationMs(text, 'x')).toThrow('not a duration'),
)

test.each([
  ['0', 0],
  ['65536', 65_536],
  ['64KiB', 65_536],
  ['10MB', 10_000_000],
  ['1GiB', 1_073_741_824],
])('the size %s is %i bytes', (text, bytes) => expect(sizeBytes(text, 'x')).toBe(bytes))

test('whole numbers keep to their bounds', () => {
  expect(wholeNumber('64', 'x', 1, 64)).toBe(64)
  for (const text of ['0', '65', '1.0', '', '0x1']) expect(() => wholeNumber(text, 'x', 1, 64)).toThrow()
})

test('revisions are numbers up to 2^53-1, strings above, null without a u64 form', () => {
  expect(revisionJson(2n ** 53n - 1n)).toBe(9_007_199_254_740_991)
  expect(revisionJson(2n ** 53n)).toBe('9007199254740992')
  expect(keyLine('a', VersionToken.fromHex('00112233445566778899'))).toEqual({
    key: 'a',
    version: '00112233445566778899',
    revision: null,
  })
})

test('people see text as text and anything else as its size', () => {
  expect(shown(new TextEncoder().encode('grüße\tund\nmehr'))).toBe('grüße\tund\nmehr')
  expect(shown(new Uint8Array([0xff, 0xfe]))).toBe('(2 bytes)')
  expect(shown(new Uint8Array([0, 65]))).toBe('(2 bytes)')
})

describe('a line of load', () => {
  test.each([
    ['{"key":"a","value":"aGk="}', 'hi'],
    ['{"key":"a","text":"hi"}', 'hi'],
    ['{"key":"a","json":{"b":[1]}}', '{"b":[1]}'],
    ['{"key":"a","json":null}', 'null'],
  ])('%s writes %s', (line, value) => {
    const operation = parseInputLine(line, 1)
    if (operation.operation === 'delete') throw new Error('no write')
    expect(Buffer.from(operation.value).toString()).toBe(value)
  })

  test.each([
    '{',
    '[]',
    '{"key":"a"}',
    '{"key":1,"text":"x"}',
    '{"key":"a","text":"x","json":1}',
    '{"key":"a","value":"?"}',
    '{"key":"a","text":"x","more":1}',
  ])('%s is refused with its number', (line) => expect(() => parseInputLine(line, 7)).toThrow(/line 7\b/))
})

describe('exit codes', () => {
  test.each([
    [1, new KvError('AlreadyExists', 'x')],
    [1, new KvError('RevisionMismatch', 'x')],
    [2, new KvError('InvalidKey', 'x')],
    [2, new KvError('ValueTooLarge', 'x')],
    [3, new KvError('Unreachable', 'x')],
    [3, new KvError('Unauthorized', 'x')],
    [3, new KvError('PermissionDenied', 'x')],
    [3, new KvError('BucketNotFound', 'x')],
    [6, new KvError('RepairRefused', 'x')],
    [2, new SnapshotError('Io', 'x')],
    [2, new SnapshotError('NotFound', 'x')],
    [2, new SnapshotError('AlreadyExists', 'x')],
    [4, new SnapshotError('Corrupted', 'x')],
    [4, new SnapshotError('InvalidFormat', 'x')],
    [4, new SnapshotError('ForeignFold', 'x')],
    [5, new SnapshotError('Busy', 'x')],
    [70, new Error('x')],
    [70, 'x'],
  ])('%i for %s', (exit, error) => expect(explain(error).exit).toBe(exit))
})

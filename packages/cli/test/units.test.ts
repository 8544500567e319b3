import { Readable } from 'node:stream'
import { KvError, SnapshotError, VersionToken } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { inputLines, parseInputLine } from '../src/bucket/input-lines.ts'
import { durationMs, sizeBytes, wholeNumber } from '../src/command/units.ts'
import { explain } from '../src/output/exit-code.ts'
import { keyLine, revisionJson, shown, shownKey } from '../src/output/wire.ts'

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
  ['1', 1],
  ['65536', 65_536],
  ['64KiB', 65_536],
  ['10MB', 10_000_000],
  ['1GiB', 1_073_741_824],
])('the size %s is %i bytes', (text, bytes) => expect(sizeBytes(text, 'x')).toBe(bytes))

test.each(['0', '-1', '', '1 KB', '9007199254740992', '99999999GB', '101'])(
  '%j is no size up to 100',
  (text) => expect(() => sizeBytes(text, 'x', 100)).toThrow(),
)

test('durations keep to their bounds', () => {
  const bounds = { least: '1s', most: '2d' }
  expect(durationMs('1s', 'x', bounds)).toBe(1_000)
  expect(durationMs('48h', 'x', bounds)).toBe(172_800_000)
  expect(() => durationMs('999ms', 'x', bounds)).toThrow('less than 1s')
  expect(() => durationMs('49h', 'x', bounds)).toThrow('more than 2d')
})

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

test('nothing that a terminal acts on is printed as it is', () => {
  for (const control of ['\u001B[2J', '\u007F', '\u009B2J', '\r', '\u0007']) {
    expect(shown(new TextEncoder().encode(`a${control}`))).toMatch(/^\(\d+ bytes\)$/)
    expect(shownKey(`a${control}`)).toBe(JSON.stringify(`a${control}`))
  }
  expect(shownKey('a\nb\tc')).toBe('"a\\nb\\tc"')
  expect(shownKey('grüße.a/b=c')).toBe('grüße.a/b=c')
  expect(shown(new TextEncoder().encode('\uFEFFa\uFFFD'))).toBe('\uFEFFa\uFFFD')
})

describe('a line of load', () => {
  test.each([
    ['{"key":"a","value":"aGk="}', 'hi'],
    ['{"key":"a","text":"hi"}', 'hi'],
    ['{"key":"a","json":{"b":[1]}}', '{"b":[1]}'],
    ['{"key":"a","json":null}', 'null'],
    ['{"key":"a","json":{"id":9007199254740991,"x":1e300}}', '{"id":9007199254740991,"x":1e+300}'],
    ['{"key":"a","value":"aGk=","version":"0000000000000001","revision":1}', 'hi'],
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
    '{"key":"a","json":{"id":9007199254740993}}',
    '{"key":"a b","text":"x"}',
    '{"key":"","text":"x"}',
    '{"key":".a","text":"x"}',
    '{"key":"a.","text":"x"}',
    '{"key":"a..b","text":"x"}',
    '{"key":"ä","text":"x"}',
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
    [4, new SnapshotError('ArtifactInvalid', 'x')],
    [5, new SnapshotError('Busy', 'x')],
    [70, new Error('x')],
    [70, 'x'],
  ])('%i for %s', (exit, error) => expect(explain(error).exit).toBe(exit))

  test('damage has the hint of damage, a file that is not ours another one', () => {
    const hintAt = (at: number): string => explain(new SnapshotError('InvalidFormat', 'x', { at })).hint
    expect(hintAt(6)).toBe(explain(new SnapshotError('Corrupted', 'x')).hint)
    expect(hintAt(0)).toContain('not a fold')
  })
})

describe('the lines of load', () => {
  async function lines(...chunks: (string | Uint8Array)[]): Promise<unknown[]> {
    const bytes = chunks.map((chunk) => Buffer.from(chunk))
    const all: unknown[] = []
    for await (const { text, number } of inputLines(Readable.from(bytes))) all.push([number, text])
    return all
  }

  test('are numbered from 1 with the empty ones, however the input is cut', async () => {
    const text = 'a\n\n  \r\nbä\r\nc'
    const whole = [
      [1, 'a'],
      [4, 'bä\r'],
      [5, 'c'],
    ]
    expect(await lines(text)).toEqual(whole)
    expect(
      await lines(
        ...Buffer.from(text)
          .toString('latin1')
          .split('')
          .map((c) => Buffer.from(c, 'latin1')),
      ),
    ).toEqual(whole)
    expect(await lines('\uFEFFa\n')).toEqual([[1, 'a']])
    expect(await lines()).toEqual([])
  })

  test('that are no UTF-8 are named', async () => {
    await expect(lines('a\n', new Uint8Array([0x62, 0xff, 0x0a]))).rejects.toThrow('line 2 is not UTF-8')
  })
})

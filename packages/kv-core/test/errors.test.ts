import { KvError, SnapshotError, WatchCursor } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import * as anotherCopy from '../src/errors.ts'

describe('errors', () => {
  test('are recognised when another copy of the package made them', () => {
    expect(anotherCopy.KvError).not.toBe(KvError)
    const error = new anotherCopy.KvError('Timeout', 'late')
    expect(error instanceof KvError).toBe(false)
    expect(KvError.is(error)).toBe(true)
    expect(SnapshotError.is(error)).toBe(false)
    expect(SnapshotError.is(new anotherCopy.SnapshotError('Io', 'disk'))).toBe(true)
  })

  test('anything else is neither', () => {
    for (const value of [undefined, null, 'KvError', new Error('KvError'), { code: 'Timeout' }]) {
      expect(KvError.is(value)).toBe(false)
      expect(SnapshotError.is(value)).toBe(false)
    }
  })

  test('carry code, cause, cursor, path and offset, and nothing that was not given', () => {
    const cause = new Error('below')
    const cursor = WatchCursor.fromRevision(3n)
    expect(new KvError('CursorExpired', 'm', { cause, cursor })).toMatchObject({
      code: 'CursorExpired',
      cause,
      cursor,
    })
    const snapshot = new SnapshotError('Corrupted', 'm', { cause, path: 'p', at: 0, cursor })
    expect(snapshot).toMatchObject({
      name: 'SnapshotError',
      code: 'Corrupted',
      cause,
      path: 'p',
      at: 0,
      cursor,
    })
    const bare = new SnapshotError('Io', 'm')
    for (const name of ['cause', 'path', 'at', 'cursor']) expect(name in bare).toBe(false)
  })
})

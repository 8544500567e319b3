import { compareKeys, prefixEnd, scopeCovers, scopePrefixes } from '@slip/kv-core'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seed } from './seed.ts'

const key = fc.string({ unit: 'binary', maxLength: 8 })
const shortKey = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 5 })

test('keys are ordered by their UTF-8 bytes, above U+FFFF too', () => {
  fc.assert(
    fc.property(key, key, (a, b) => {
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
    { seed, numRuns: 1_000 },
  )
  expect(compareKeys('\u{1F600}', '\uFFFD')).toBeGreaterThan(0)
  expect(['\u{1F600}', '\uFFFD', 'a'].sort(compareKeys)).toEqual(['a', '\uFFFD', '\u{1F600}'])
})

test('prefixEnd is above every key with the prefix and not above the next one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 6 }), (prefix, bytes) => {
      const end = prefixEnd(prefix)
      const within =
        Buffer.compare(bytes, prefix) >= 0 && (end === undefined || Buffer.compare(bytes, end) < 0)
      expect(within).toBe(Buffer.from(bytes).subarray(0, prefix.length).equals(prefix))
    }),
    { seed, numRuns: 1_000 },
  )
  expect(prefixEnd(Uint8Array.of(1, 0xff))).toEqual(Uint8Array.of(2))
  expect(prefixEnd(Uint8Array.of(0xff, 0xff))).toBeUndefined()
  expect(prefixEnd(new Uint8Array())).toBeUndefined()
})

describe('scopes', () => {
  test('an empty list is a TypeError, the empty prefix is every key', () => {
    expect(() => scopePrefixes({ prefixes: [] })).toThrow(TypeError)
    expect(scopePrefixes('all')).toEqual([''])
    expect(scopePrefixes({ prefix: '' })).toEqual([''])
    expect(scopePrefixes({ prefixes: ['a', '', 'b'] })).toEqual([''])
  })

  test('overlapping and repeated prefixes are merged, in byte order', () => {
    expect(scopePrefixes({ prefixes: ['b', 'a.b', 'a', 'b', 'a.'] })).toEqual(['a', 'b'])
  })

  test('the canonical form covers exactly what the given prefixes cover, and is its own canonical form', () => {
    fc.assert(
      fc.property(fc.array(shortKey, { minLength: 1, maxLength: 5 }), shortKey, (prefixes, key) => {
        const canonical = scopePrefixes({ prefixes })
        expect(scopeCovers(canonical, key)).toBe(prefixes.some((prefix) => key.startsWith(prefix)))
        expect(scopePrefixes({ prefixes: canonical })).toEqual(canonical)
        expect(scopePrefixes({ prefixes: [...prefixes].reverse() })).toEqual(canonical)
      }),
      { seed, numRuns: 500 },
    )
  })
})

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KvUpdate } from '../src/entry.ts'
import { AnchorRing } from '../src/follow/anchor-ring.ts'
import { VersionToken } from '../src/token.ts'
import { seed } from './seed.ts'

const update = (
  key: string,
  revision: number,
  writtenAtMs: number | undefined = revision * 10,
): KvUpdate => ({
  operation: 'delete',
  key,
  version: VersionToken.fromRevision(BigInt(revision)),
  ...(writtenAtMs === undefined ? {} : { writtenAtMs }),
})
const plain = (ring: AnchorRing): string[] => ring.anchors.map(({ key, revision }) => `${key}@${revision}`)

describe('the anchors of a fold', () => {
  test('are the newest revision of each key, oldest first; a hot key takes one place', () => {
    const ring = new AnchorRing([], true)
    ring.note([update('a', 1), update('b', 2), update('a', 3)])
    ring.note([update('c', 4)])
    ring.note(Array.from({ length: 500 }, (_, i) => update('hot', 5 + i)))
    expect(plain(ring)).toEqual(['b@2', 'a@3', 'c@4', 'hot@504'])
    expect(ring.anchors[0]).toEqual({ key: 'b', revision: 2n, timeMs: 20n })
    expect(ring.complete).toBe(true)
  })

  test('are the last 64 keys, and then not every key any more', () => {
    const ring = new AnchorRing([], true)
    for (let i = 1; i <= 64; i++) ring.note([update(`k${i}`, i)])
    expect(ring).toMatchObject({ size: 64, complete: true })
    ring.note([update('k1', 65)])
    expect(ring).toMatchObject({ size: 64, complete: true })
    ring.note([update('k65', 66)])
    expect(ring).toMatchObject({ size: 64, complete: false })
    expect(plain(ring).at(0)).toBe('k3@3')
    expect(plain(ring).slice(-2)).toEqual(['k1@65', 'k65@66'])
  })

  test('begin anew after an update without a time or a revision, or with a key too long to keep', () => {
    for (const unfit of [
      { ...update('x', 2), writtenAtMs: undefined },
      { ...update('x', 2), version: VersionToken.fromBytes(Uint8Array.of(1)) },
      update('x'.repeat(5_000), 2),
    ]) {
      const ring = new AnchorRing([], true)
      ring.note([update('a', 1), unfit as KvUpdate, update('b', 3)])
      expect(plain(ring)).toEqual(['b@3'])
      expect(ring.complete).toBe(false)
    }
  })

  test('know nothing of removals that nobody wrote', () => {
    const ring = new AnchorRing([], true)
    ring.note([update('a', 1)])
    ring.note([{ operation: 'delete', key: 'b', version: VersionToken.unknown, reason: 'resync' }])
    expect(plain(ring)).toEqual(['a@1'])
    expect(ring.complete).toBe(true)
  })

  test('in any batching, and noted twice: every key at or above the oldest of them is there', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(120), { maxLength: 400 }),
        fc.integer({ min: 1, max: 90 }),
        (keys, size) => {
          const ring = new AnchorRing([], true)
          const newest = new Map<string, number>()
          const updates = keys.map((key, i) => update(`k${key}`, i + 1))
          for (let at = 0; at < updates.length; at += size) {
            ring.note(updates.slice(at, at + size))
            ring.note(updates.slice(at, at + size))
          }
          for (const [i, key] of keys.entries()) newest.set(`k${key}`, i + 1)
          const held = new Map(ring.anchors.map(({ key, revision }) => [key, Number(revision)]))
          const oldest = Math.min(...held.values(), Infinity)
          expect(new Map([...newest].filter(([, revision]) => revision >= oldest))).toEqual(held)
          if (ring.complete) expect(held.size).toBe(newest.size)
          else expect(newest.size).toBeGreaterThanOrEqual(64)
        },
      ),
      { seed, numRuns: 300 },
    )
  })
})

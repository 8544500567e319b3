import {
  decodeLineage,
  encodeLineage,
  MAX_LINEAGE_BYTES,
  protocol,
  scopePrefixes,
  SnapshotError,
  WatchCursor,
  type Lineage,
} from '@slip/kv-core'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seed } from './seed.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 12 })
const u64 = fc.bigInt(0n, 2n ** 64n - 1n)
const hashes = fc.uniqueArray(u64, { maxLength: 4 })
const lineages: fc.Arbitrary<Lineage> = fc.record(
  {
    binding: fc.record(
      {
        kind: text,
        name: text,
        incarnation: text,
        scope: fc.array(text, { minLength: 1, maxLength: 5 }).map((prefixes) => scopePrefixes({ prefixes })),
        whenEvicted: fc.constantFrom('drop' as const, 'keep' as const),
        evictionSeen: fc.boolean(),
      },
      { requiredKeys: ['kind', 'name', 'scope', 'whenEvicted', 'evictionSeen'] },
    ),
    anchors: fc.array(fc.record({ revision: u64, key: text, timeMs: u64 }), { maxLength: 4 }),
    skipped: fc
      .record({ keys: hashes, values: hashes })
      .filter(({ keys, values }) => keys.length + values.length > 0),
  },
  { requiredKeys: ['binding', 'anchors'] },
)

const bound: Lineage = {
  binding: {
    kind: 'nats',
    name: 'KV_config',
    incarnation: 't',
    scope: [''],
    whenEvicted: 'keep',
    evictionSeen: true,
  },
  anchors: [],
}

describe('the lineage codec', () => {
  test('gives back what it was given', () => {
    fc.assert(
      fc.property(lineages, (lineage) => {
        expect(decodeLineage(encodeLineage(lineage))).toEqual(lineage)
      }),
      { seed },
    )
  })

  test('has the documented bytes', () => {
    expect(Buffer.from(encodeLineage(bound)).toString('hex')).toBe(
      '010700046e61747300094b565f636f6e666967000174000100000000',
    )
  })

  test('says whether the fold is settled, in a flag of its own', () => {
    const settled = encodeLineage({ ...bound, settled: true })
    expect(decodeLineage(settled)).toEqual({ ...bound, settled: true })
    expect(Buffer.from(settled).toString('hex')).toBe(
      '018700046e61747300094b565f636f6e666967000174000100000000',
    )
    expect(decodeLineage(encodeLineage({ ...bound, settled: false }))).toEqual(bound)
  })

  test('has the documented bytes with skipped names, and the same as ever without', () => {
    const skipped = { keys: [1n], values: [2n ** 64n - 1n] }
    expect(Buffer.from(encodeLineage({ ...bound, skipped })).toString('hex')).toBe(
      '011700046e61747300094b565f636f6e6669670001740001000000010000000000000001' +
        '0001ffffffffffffffff' +
        '0000',
    )
    expect(encodeLineage({ ...bound, skipped: { keys: [], values: [] } })).toEqual(encodeLineage(bound))
  })

  test('always fits: names, scope, skipped names and anchors at their limits', () => {
    const many = Array.from({ length: 5_000 }, (_, i) => BigInt(i))
    const name = 'n'.repeat(2 * 1024)
    const largest: Lineage = {
      binding: {
        ...bound.binding,
        kind: name,
        name,
        incarnation: name,
        scope: Array.from({ length: 409 }, (_, i) => `p${100 + i}.....`.slice(0, 8)),
      },
      skipped: { keys: many.slice(0, 300), values: many },
      anchors: Array.from({ length: 64 }, (_, i) => ({
        revision: BigInt(i),
        key: 'k'.repeat(50),
        timeMs: 1n,
      })),
    }
    const bytes = encodeLineage(largest)
    expect(bytes.length).toBeLessThanOrEqual(MAX_LINEAGE_BYTES)
    const kept = decodeLineage(bytes)
    expect(kept.binding).toEqual(largest.binding)
    expect(kept.skipped).toEqual({ keys: many.slice(0, 300), values: many.slice(0, 212) })
    expect(kept.anchors.at(-1)).toEqual(largest.anchors.at(-1))
    for (const over of ['kind', 'name', 'incarnation'] as const)
      expect(() => encodeLineage({ ...bound, binding: { ...bound.binding, [over]: `${name}n` } })).toThrow(
        RangeError,
      )
  })

  test('a cut or lengthened lineage is Corrupted, a newer generation InvalidFormat', () => {
    const bytes = encodeLineage(bound)
    for (let length = 0; length < bytes.length; length++)
      expect(codeOf(bytes.subarray(0, length))).toBe('Corrupted')
    expect(codeOf(Uint8Array.of(...bytes, 0))).toBe('Corrupted')
    expect(codeOf(Uint8Array.of(2, ...bytes.subarray(1)))).toBe('InvalidFormat')
    expect(codeOf(new Uint8Array(MAX_LINEAGE_BYTES + 1))).toBe('Corrupted')
  })

  test('any bytes decode or are refused by code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const code = codeOf(Uint8Array.of(1, ...bytes))
        expect(['decoded', 'Corrupted']).toContain(code)
      }),
      { seed, numRuns: 1_000 },
    )
  })

  test('ten thousand prefixes fit, and are told from ten thousand others', () => {
    const scope = scopePrefixes({ prefixes: Array.from({ length: 10_000 }, (_, i) => `tenant.${i}.`) })
    const bytes = encodeLineage({ ...bound, binding: { ...bound.binding, scope } })
    expect(bytes.length).toBeLessThanOrEqual(MAX_LINEAGE_BYTES)
    const { binding } = decodeLineage(bytes)
    const attach = (wanted: readonly string[]): string =>
      protocol.attach({
        fold: { binding, cursor: WatchCursor.fromRevision(1n), populated: true },
        source: { kind: 'nats', name: 'KV_config' },
        scope: wanted,
        whenEvicted: 'keep',
        repair: 'auto',
      }).action
    expect(attach(scope)).toBe('resume')
    expect(attach(scope.slice(1))).toBe('foreign')
    expect(encodeLineage({ binding, anchors: [] })).toEqual(bytes)
  })

  test('the newest anchors that fit are kept', () => {
    const anchors = Array.from({ length: 64 }, (_, i) => ({
      revision: BigInt(i),
      key: 'k'.repeat(500),
      timeMs: 1n,
    }))
    const bytes = encodeLineage({ ...bound, anchors })
    expect(bytes.length).toBeLessThanOrEqual(MAX_LINEAGE_BYTES)
    const kept = decodeLineage(bytes).anchors
    expect(kept.length).toBeGreaterThan(20)
    expect(kept).toEqual(anchors.slice(-kept.length))
  })
})

function codeOf(bytes: Uint8Array): string {
  try {
    decodeLineage(bytes)
    return 'decoded'
  } catch (error) {
    return SnapshotError.is(error) ? error.code : String(error)
  }
}

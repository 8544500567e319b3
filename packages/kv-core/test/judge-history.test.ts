import {
  protocol,
  type Anchor,
  type HistoryEvidence,
  type HistoryVerdict,
  type StoredMessage,
} from '@slip/kv-core'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KvRemovalUpdate } from '../src/entry.ts'
import { AnchorRing } from '../src/follow/anchor-ring.ts'
import { VersionToken } from '../src/token.ts'
import { ModelBucket, type ModelMessage, type ModelOp } from './history-model.ts'
import { seed } from './seed.ts'

/** The fold of a model bucket: what it applied last of each key, and what it remembers. */
class ModelFold {
  readonly applied = new Map<string, ModelMessage>()
  readonly ring = new AnchorRing([], true)
  /** What the bucket was ever given in this history. */
  lineage: ReadonlySet<ModelMessage> = new Set()
  cursor = 0n

  /** Applies what comes after the cursor; from nothing that is the newest of each key. */
  follow(bucket: ModelBucket): void {
    const delivered = bucket
      .after(this.cursor)
      .filter((message) => this.cursor > 0n || bucket.newest(message.key) === message)
    for (const message of delivered) this.applied.set(message.key, message)
    this.ring.note(delivered.map(toUpdate))
    this.cursor = bucket.last
    this.lineage = new Set(bucket.state.written)
  }
}

/** A bucket after `ops`, and a fold that followed each of them, or began after the last. */
function followed(historyPerKey: number, ops: readonly ModelOp[], live: boolean): [ModelBucket, ModelFold] {
  const bucket = new ModelBucket(historyPerKey)
  let fold = new ModelFold()
  for (const op of ops) {
    bucket.rewound = false
    bucket.run(op)
    if (bucket.rewound || !live) fold = new ModelFold()
    fold.follow(bucket)
  }
  bucket.rewound = false
  return [bucket, fold]
}

function toUpdate({ key, revision, writtenAtMs }: ModelMessage): KvRemovalUpdate {
  return { operation: 'delete', key, version: VersionToken.fromRevision(revision), writtenAtMs }
}

/** Asks the bucket all that the kernel wants to know. */
function judged(
  bucket: ModelBucket,
  fold: { readonly anchors: readonly Anchor[]; readonly complete: boolean; readonly cursor: bigint },
): HistoryVerdict {
  const { anchors, complete, cursor } = fold
  const { historyPerKey } = bucket
  let evidence: HistoryEvidence = {
    anchors: anchors.toReversed(),
    complete,
    cursor,
    historyPerKey,
    at: [],
    firstAfter: [],
  }
  for (let asked = 0; asked < 20; asked++) {
    const step = protocol.judgeHistory(evidence)
    if ('verdict' in step) return step.verdict
    if (step.ask === 'at')
      evidence = { ...evidence, at: [...evidence.at, ...step.revisions.map((each) => bucket.at(each))] }
    else if (step.ask === 'firstAfter')
      evidence = { ...evidence, firstAfter: [...evidence.firstAfter, bucket.firstAfter(step.revision)] }
    else evidence = { ...evidence, newest: step.keys.map((key) => bucket.newest(key)) }
  }
  throw new Error('the kernel asks without end')
}

/** What a store may hold: fewer anchors than the fold remembers. */
function stored(ring: AnchorRing, count: number): { anchors: readonly Anchor[]; complete: boolean } {
  return { anchors: ring.anchors.slice(-count), complete: ring.complete && ring.size <= count }
}

/** Whether a verdict may be given of this bucket and fold; says what is wrong. */
function wrongWith(bucket: ModelBucket, fold: ModelFold, count: number): string | undefined {
  const remembered = stored(fold.ring, count)
  const verdict = judged(bucket, { ...remembered, cursor: fold.cursor })
  if (verdict === 'other' && !bucket.rewound) return 'other without another history'
  if (verdict === 'differs' && bucket.historyPerKey === 1) return 'differs with history 1'
  if (verdict === 'differs' && bucket.removed.size === 0 && !bucket.rewound) return 'differs for nothing'
  if (verdict === 'unknown') {
    if (remembered.complete) return 'unknown although all keys are remembered'
    const left = remembered.anchors.some(({ revision, key }) => bucket.at(revision)?.key === key)
    return left ? 'unknown although an anchor is left' : undefined
  }
  if (verdict !== 'same') return undefined
  // Going on delivers all above the cursor; what lies below has to be the fold's own.
  for (const { key } of bucket.after(0n)) {
    const held = bucket.newest(key)!
    const own = fold.applied.get(key)
    // A key that the fold does not know came back with a backup: the count tells.
    if (held.revision > fold.cursor || own === held || own === undefined) continue
    // With several revisions of a key one can be removed, or come back: a listing tells.
    const revealed = bucket.removed.has(own) || (held.revision > own.revision && fold.lineage.has(held))
    if (bucket.historyPerKey === 1 || !revealed)
      return `${key} is at ${held.revision}, the fold has ${own?.revision}`
  }
  return undefined
}

const OPS: readonly ModelOp[] = [
  { op: 'put', key: 'a' },
  { op: 'put', key: 'b' },
  { op: 'put', key: 'z' },
  { op: 'delete', key: 'a' },
  { op: 'cleanUp', key: 'a' },
  { op: 'evict' },
  { op: 'remove', nth: 1 },
  { op: 'lose', steps: 1 },
  { op: 'lose', steps: 2 },
  { op: 'restore', steps: 1 },
  { op: 'restore', steps: 2 },
  { op: 'recreate' },
]

/** How long the histories are of which every one is tried; 6 takes minutes. */
const LENGTH = Number(process.env['SLIP_HISTORY_LENGTH'] ?? 4)

describe.each([1, 2, 3])('the proof of a history, %i revisions of a key', (historyPerKey) => {
  test(
    'every short history, followed up to every point, with every number of anchors',
    { timeout: 900_000 },
    () => {
      const verdicts = new Map<HistoryVerdict, number>()
      for (let n = 0; n < OPS.length ** LENGTH; n++) {
        const ops = Array.from(
          { length: LENGTH },
          (_, i) => OPS[Math.floor(n / OPS.length ** i) % OPS.length]!,
        )
        if (ops[0]!.op !== 'put') continue
        for (let cut = 1; cut < LENGTH; cut++)
          for (const live of [true, false]) {
            const [bucket, fold] = followed(historyPerKey, ops.slice(0, cut), live)
            for (const op of ops.slice(cut)) bucket.run(op)
            for (const count of [1, 2, 64]) {
              const wrong = wrongWith(bucket, fold, count)
              if (wrong !== undefined)
                expect.fail(`${wrong}: ${JSON.stringify(ops)} cut at ${cut}, live ${live}, ${count} anchors`)
            }
            const verdict = judged(bucket, { ...stored(fold.ring, 64), cursor: fold.cursor })
            verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
          }
      }
      expect(verdicts.get('same')).toBeGreaterThan(1_000)
      expect(verdicts.get('other')).toBeGreaterThan(1_000)
    },
  )

  test('long random histories of a few keys', { timeout: 900_000 }, () => {
    fc.assert(
      fc.property(
        fc.array(op, { minLength: 1, maxLength: 40 }),
        fc.array(op, { maxLength: 12 }),
        fc.boolean(),
        fc.constantFrom(1, 2, 3, 64),
        (before, after, live, count) => {
          const [bucket, fold] = followed(historyPerKey, before, live)
          for (const each of after) bucket.run(each)
          expect(wrongWith(bucket, fold, count)).toBeUndefined()
        },
      ),
      { seed, numRuns: Number(process.env['SLIP_HISTORIES'] ?? 2_000) },
    )
  })
})

const key = fc.constantFrom('a', 'b', 'c', 'd', 'z')
const steps = fc.integer({ min: 1, max: 4 })
const op: fc.Arbitrary<ModelOp> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ op: fc.constant('put' as const), key }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constantFrom('delete', 'purge', 'cleanUp', 'purgeKey'), key }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('evict' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('remove' as const), nth: fc.nat(6) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom('lose', 'restore'), steps }) },
)

describe('what decides', () => {
  const anchor = (key: string, revision: bigint): Anchor => ({ key, revision, timeMs: revision * 10n })
  const message = (key: string, revision: bigint): StoredMessage => ({
    key,
    revision,
    writtenAtMs: Number(revision) * 10,
  })
  const evidence = (change: Partial<HistoryEvidence>): HistoryEvidence => ({
    anchors: [anchor('b', 7n), anchor('a', 4n)],
    complete: false,
    cursor: 9n,
    historyPerKey: 1,
    at: [],
    firstAfter: [],
    ...change,
  })
  const verdict = (change: Partial<HistoryEvidence>): unknown => {
    const step = protocol.judgeHistory(evidence(change))
    return 'verdict' in step ? step.verdict : step
  }

  test('the newest anchor is asked for alone, then the others in growing parts', () => {
    const anchors = Array.from({ length: 64 }, (_, i) => anchor(`k${i}`, BigInt(100 - i)))
    const asked = (known: number): number => {
      const at = Array.from({ length: known }, () => undefined)
      const step = protocol.judgeHistory(evidence({ anchors, cursor: 200n, at }))
      return 'ask' in step && step.ask === 'at' ? step.revisions.length : -1
    }
    expect([asked(0), asked(1), asked(8)]).toEqual([1, 7, 56])
    expect(verdict({ at: [message('b', 7n)] })).toEqual({ ask: 'firstAfter', revision: 7n })
  })

  test('the same revision with another key or another time is another history', () => {
    expect(verdict({ at: [message('a', 7n)] })).toBe('other')
    expect(verdict({ at: [{ ...message('b', 7n), writtenAtMs: 71 }] })).toBe('other')
    expect(verdict({ at: [undefined, { ...message('a', 4n), writtenAtMs: 41 }] })).toBe('other')
  })

  test('a message between the proven position and the cursor is no message of ours', () => {
    const at = [message('b', 7n)]
    expect(verdict({ at, firstAfter: [message('c', 9n)] })).toBe('other')
    expect(verdict({ at, firstAfter: [message('c', 9n)], historyPerKey: 5 })).toBe('other')
    expect(verdict({ at, firstAfter: [message('c', 10n)] })).toBe('same')
    expect(verdict({ at, firstAfter: [undefined] })).toBe('same')
  })

  test('an older revision of a key whose newest is missing: another history with history 1, else it differs', () => {
    const at = [undefined, message('a', 4n)]
    const older = [message('b', 3n)]
    expect(verdict({ at, firstAfter: [undefined], newest: older })).toBe('other')
    for (const historyPerKey of [2, undefined])
      expect(verdict({ at, firstAfter: [undefined], newest: older, historyPerKey })).toBe('differs')
    expect(verdict({ at, firstAfter: [undefined], newest: [message('b', 10n)] })).toBe('same')
    expect(verdict({ at, firstAfter: [undefined], newest: [undefined] })).toBe('same')
  })

  test('what newer revisions replaced is passed by, a few times', () => {
    const at = [undefined, message('a', 4n)]
    const left = message('b', 5n)
    expect(verdict({ at, firstAfter: [left], historyPerKey: 3 })).toEqual({ ask: 'firstAfter', revision: 5n })
    expect(verdict({ at, firstAfter: [left], historyPerKey: 1 })).toBe('other')
    expect(verdict({ at, firstAfter: Array.from({ length: 9 }, () => left), historyPerKey: 3 })).toBe(
      'unknown',
    )
  })

  test('anchors that came since the last proof are all asked for, and prove nothing by themselves', () => {
    const trusted = 4n
    expect(verdict({ trusted })).toEqual({ ask: 'at', revisions: [7n] })
    expect(verdict({ trusted, at: [message('b', 7n)] })).toEqual({ ask: 'at', revisions: [4n] })
    const at = [message('b', 7n), message('a', 4n)]
    expect(verdict({ trusted, at })).toEqual({ ask: 'firstAfter', revision: 4n })
    expect(verdict({ trusted, at, firstAfter: [message('b', 7n)] })).toEqual({
      ask: 'firstAfter',
      revision: 7n,
    })
    expect(verdict({ trusted, at, firstAfter: [message('b', 7n), undefined] })).toBe('same')
    // A message that was never delivered lies between those that were.
    expect(verdict({ trusted, at, firstAfter: [message('c', 6n)] })).toBe('other')
    const missing = { trusted, at: [message('b', 7n), undefined], firstAfter: [message('b', 7n), undefined] }
    expect(verdict({ ...missing, newest: [message('a', 12n)] })).toBe('unknown')
    expect(verdict({ ...missing, newest: [message('a', 3n)] })).toBe('other')
  })

  test('without a single anchor left nothing is known, unless they name every key', () => {
    const at = [undefined, undefined]
    expect(verdict({ at })).toEqual({ ask: 'firstAfter', revision: 3n })
    expect(verdict({ at, complete: true })).toEqual({ ask: 'firstAfter', revision: 0n })
    const rest = { at, firstAfter: [message('c', 10n)], newest: [undefined, message('a', 11n)] }
    expect(verdict(rest)).toBe('unknown')
    expect(verdict({ ...rest, complete: true })).toBe('same')
  })
})

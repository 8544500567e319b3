import { protocol, VersionToken, WatchCursor, type FlushInput } from '@slip/kv-core'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seed } from './seed.ts'

const MAX = 2n ** 64n - 1n

describe('resumeStart', () => {
  test('starts one above the cursor', () => {
    for (const revision of [0n, 1n, 3n, 2n ** 53n, MAX - 1n])
      expect(protocol.resumeStart(WatchCursor.fromRevision(revision))).toEqual({
        action: 'start',
        fromRevision: revision + 1n,
      })
  })

  test('of any cursor: one above its u64, or a refusal, and never a wrap', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 10 }), (bytes) => {
        const cursor = WatchCursor.fromToken(VersionToken.fromBytes(bytes))
        const start = protocol.resumeStart(cursor)
        if (start.action === 'start') {
          expect(bytes).toHaveLength(8)
          expect(start.fromRevision - 1n).toBe(cursor.revision)
          expect(start.fromRevision).toBeLessThanOrEqual(MAX)
        } else expect(start.action).toBe(bytes.length === 0 ? 'fromBeginning' : 'refuse')
      }),
      { seed },
    )
  })

  test('no position starts from the beginning', () => {
    expect(protocol.resumeStart(WatchCursor.none)).toEqual({ action: 'fromBeginning' })
  })

  test('refuses 2^64-1, whose successor would wrap, and what is no u64', () => {
    expect(protocol.resumeStart(WatchCursor.fromRevision(MAX))).toEqual({
      action: 'refuse',
      reason: 'lastRevision',
    })
    for (const length of [1, 7, 9, 10]) {
      const cursor = WatchCursor.fromToken(VersionToken.fromBytes(new Uint8Array(length)))
      expect(protocol.resumeStart(cursor)).toEqual({ action: 'refuse', reason: 'notARevision' })
    }
  })
})

describe('onDelivery', () => {
  test('applies exactly what is above the frontier, or cannot be compared', () => {
    for (let frontier = 0n; frontier < 6n; frontier++)
      for (let revision = 0n; revision < 6n; revision++)
        for (const suspect of [false, true])
          expect(protocol.onDelivery({ frontier, revision, suspect })).toBe(
            revision > frontier ? 'apply' : suspect ? 'rebuild' : 'reattach',
          )
    expect(protocol.onDelivery({ frontier: undefined, revision: 0n, suspect: true })).toBe('apply')
    expect(protocol.onDelivery({ frontier: 5n, revision: undefined, suspect: true })).toBe('apply')
  })
})

describe('onBookmark', () => {
  const u64 = [undefined, 0n, 1n, 2n, MAX]

  test('moves up, never back, and not where the watch stands already', () => {
    for (const frontier of u64)
      for (const revision of u64)
        for (const same of [false, true]) {
          const up = revision === undefined || frontier === undefined || revision > frontier
          expect(protocol.onBookmark({ frontier, revision, same })).toBe(!same && up ? 'advance' : 'ignore')
        }
  })
})

describe('handOver', () => {
  test('skips exactly what was handed over before; what cannot be compared is handed over', () => {
    for (const handedThrough of [undefined, 0n, 1n, 2n, MAX])
      for (const revision of [undefined, 0n, 1n, 2n, 3n, MAX])
        expect(protocol.handOver({ handedThrough, revision })).toBe(
          handedThrough !== undefined && revision !== undefined && revision <= handedThrough
            ? 'skip'
            : 'hand',
        )
  })
})

describe('afterReopen', () => {
  const memo = { evictionSeen: true } as const
  const tokens = [
    VersionToken.unknown,
    VersionToken.fromRevision(1n),
    VersionToken.fromRevision(2n),
    VersionToken.fromHex('00112233445566778899'),
  ]
  const cursors = tokens.flatMap((token) => [
    WatchCursor.fromToken(token),
    WatchCursor.fromToken(token, memo),
  ])

  test('commits again exactly where the fold stood or would have stood, whatever its memo', () => {
    for (const found of cursors)
      for (const before of cursors)
        for (const attempted of cursors) {
          const fits = [before, attempted].some(({ token }) => token.toHex() === found.token.toHex())
          expect(protocol.afterReopen({ found, before, attempted })).toBe(fits ? 'commit' : 'restart')
        }
  })
})

describe('watchdog', () => {
  test('is stale exactly when the silence lasted staleAfterMs, at any time on the clock', () => {
    const ms = fc.integer({ min: 0, max: 1e12 })
    fc.assert(
      fc.property(ms, ms, fc.integer({ min: 1, max: 1e9 }), (lastProofMs, silentMs, staleAfterMs) => {
        expect(protocol.watchdog({ nowMs: lastProofMs + silentMs, lastProofMs, staleAfterMs })).toBe(
          silentMs < staleAfterMs ? 'live' : 'stale',
        )
      }),
      { seed },
    )
  })

  test('is stale from staleAfterMs of silence on', () => {
    for (let silent = 0; silent <= 10; silent++)
      expect(protocol.watchdog({ nowMs: 100 + silent, lastProofMs: 100, staleAfterMs: 5 })).toBe(
        silent >= 5 ? 'stale' : 'live',
      )
  })
})

describe('proofOfLife', () => {
  test('is when it came, never later than now, and never goes back', () => {
    const at = (lastProofMs: number, receivedAtMs?: number): number =>
      protocol.proofOfLife({ nowMs: 100, lastProofMs, receivedAtMs })
    expect([at(50), at(50, 70), at(50, 30), at(50, 200), at(50, 100)]).toEqual([100, 70, 50, 100, 100])
  })
})

describe('afterFlush', () => {
  const OUTCOMES = ['committed', 'applyFailed', 'commitFailed', 'poisoned'] as const
  const inputs: FlushInput[] = OUTCOMES.flatMap((outcome) =>
    [0, 99, 100, 101].flatMap((failingForMs) =>
      [false, true].flatMap((aborted) =>
        [false, true].map((reopenable) => ({ outcome, failingForMs, budgetMs: 100, aborted, reopenable })),
      ),
    ),
  )

  test('the cursor moves exactly when the store holds the batch', () => {
    for (const input of inputs)
      expect(protocol.afterFlush(input).cursor === 'advance').toBe(input.outcome === 'committed')
  })

  test('a handle that rejected a write is done; an oversize key leaves it good', () => {
    for (const input of inputs)
      expect(protocol.afterFlush(input).handle).toBe(input.outcome === 'commitFailed' ? 'done' : 'good')
  })

  test('nothing is retried past the budget or after an abort, and an oversize key never', () => {
    for (const input of inputs) {
      const { next } = protocol.afterFlush(input)
      const spent = input.failingForMs >= input.budgetMs
      if (input.outcome === 'committed') expect(next).toBe('continue')
      else if (input.outcome === 'poisoned') expect(next).toBe('fail')
      else if (input.outcome === 'applyFailed')
        expect(next).toBe(input.aborted ? 'abandon' : spent ? 'fail' : 'retry')
      else expect(next).toBe(!spent && !input.aborted && input.reopenable ? 'retry' : 'fail')
    }
  })
})

describe('audit', () => {
  const base = {
    appliedRevision: 5n,
    lastRevision: 5n,
    keyCount: 3n,
    foldCount: 3n,
    whenEvicted: 'drop',
    evictsCurrentValues: false,
    evictionSeen: false,
  } as const

  test('compares counts only at the last revision of the bucket', () => {
    for (let applied = 3n; applied <= 7n; applied++)
      for (let count = 2n; count <= 4n; count++)
        expect(protocol.audit({ ...base, appliedRevision: applied, foldCount: count })).toBe(
          applied !== 5n ? 'wait' : count === 3n ? 'equal' : 'rebuild',
        )
  })

  test('over every combination: equal only for equal counts at one revision, a repair only for unequal ones', () => {
    const revisions = [undefined, 0n, 5n, 6n]
    const counts = [undefined, 0n, 3n, 4n]
    for (const appliedRevision of revisions)
      for (const lastRevision of revisions)
        for (const keyCount of counts)
          for (const foldCount of counts)
            for (const whenEvicted of ['drop', 'keep'] as const)
              for (const evictsCurrentValues of [undefined, false, true])
                for (const evictionSeen of [false, true]) {
                  const counted = { appliedRevision, lastRevision, keyCount, foldCount }
                  const verdict = protocol.audit({
                    ...counted,
                    whenEvicted,
                    evictsCurrentValues,
                    evictionSeen,
                  })
                  const known = Object.values(counted).every((value) => value !== undefined)
                  const differs = whenEvicted === 'keep' && (evictsCurrentValues !== false || evictionSeen)
                  if (!known || differs) expect(verdict).toBe('off')
                  else if (appliedRevision !== lastRevision) expect(verdict).toBe('wait')
                  else expect(verdict).toBe(keyCount === foldCount ? 'equal' : 'rebuild')
                }
  })

  test('under writers: more keys than the bucket are a difference, and fewer by more than was not delivered', () => {
    for (let keyCount = 2n; keyCount <= 6n; keyCount++)
      for (let foldCount = 0n; foldCount <= 7n; foldCount++)
        for (let undelivered = 1n; undelivered <= 4n; undelivered++)
          expect(protocol.audit({ ...base, keyCount, foldCount, undelivered })).toBe(
            foldCount > keyCount || keyCount - foldCount > undelivered ? 'rebuild' : 'wait',
          )
  })

  test('under writers: equal ones are proof when both are the same when the bucket is counted again', () => {
    for (let keyCount = 2n; keyCount <= 4n; keyCount++)
      for (let foldCount = 2n; foldCount <= keyCount; foldCount++)
        for (let laterKeys = 2n; laterKeys <= 5n; laterKeys++)
          for (let laterFold = foldCount; laterFold <= 5n; laterFold++)
            expect(
              protocol.audit({
                ...base,
                keyCount,
                foldCount,
                undelivered: 4n,
                later: { keyCount: laterKeys, foldCount: laterFold },
              }),
            ).toBe(
              laterFold > laterKeys
                ? 'rebuild'
                : foldCount === keyCount && laterFold === foldCount && laterKeys === keyCount
                  ? 'equal'
                  : 'wait',
            )
  })

  test('counts of a bucket that evicts but has not yet lost anything are compared also for a replica of record', () => {
    const evicting = { evictsCurrentValues: true, evictsOldestFirst: true } as const
    const keep = { ...base, ...evicting, whenEvicted: 'keep', foldCount: 9n } as const
    expect(protocol.audit({ ...keep, firstRevision: 1n })).toBe('rebuild')
    expect(protocol.audit({ ...keep, firstRevision: 1n, evictsOldestFirst: false })).toBe('off')
    expect(protocol.audit({ ...keep, firstRevision: 2n })).toBe('off')
  })

  test('is off where a count or a position is missing', () => {
    for (const name of ['appliedRevision', 'lastRevision', 'keyCount', 'foldCount'] as const)
      expect(protocol.audit({ ...base, [name]: undefined })).toBe('off')
  })

  test('is off where the fold keeps what the bucket may evict', () => {
    const keep = { ...base, whenEvicted: 'keep', foldCount: 9n } as const
    expect(protocol.audit(keep)).toBe('rebuild')
    expect(protocol.audit({ ...keep, evictsCurrentValues: true })).toBe('off')
    expect(protocol.audit({ ...keep, evictsCurrentValues: undefined })).toBe('off')
    expect(protocol.audit({ ...keep, evictionSeen: true })).toBe('off')
  })
})

describe('beginsAtNewest', () => {
  test('only the transaction that follows the newest commit', () => {
    for (let newest = 0; newest < 5; newest++)
      for (let transaction = 0; transaction < 8; transaction++)
        expect(protocol.beginsAtNewest({ transaction, newest })).toBe(transaction - newest === 1)
  })
})

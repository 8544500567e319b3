import {
  protocol,
  VersionToken,
  WatchCursor,
  type AttachDecision,
  type AttachInput,
  type Binding,
  type SourceDescription,
} from '@slip/kv-core'
import { describe, expect, test } from 'vitest'

const MAX = 2n ** 64n - 1n

const binding: Binding = {
  kind: 'nats',
  name: 'config',
  incarnation: 'one',
  scope: ['a.', 'b.'],
  whenEvicted: 'drop',
  evictionSeen: false,
}

function attachment(
  change: {
    fold?: Partial<AttachInput['fold']>
    source?: Partial<SourceDescription>
  } & Partial<Omit<AttachInput, 'fold' | 'source'>> = {},
): AttachDecision {
  const { fold, source, ...rest } = change
  return protocol.attach({
    fold: { binding, cursor: WatchCursor.fromRevision(5n), populated: true, ...fold },
    source: {
      kind: 'nats',
      name: 'config',
      incarnation: 'one',
      firstRevision: 1n,
      lastRevision: 9n,
      evictsCurrentValues: false,
      ...source,
    },
    scope: ['a.', 'b.'],
    whenEvicted: 'drop',
    repair: 'auto',
    ...rest,
  })
}

describe('attach', () => {
  test('resumes within one history, also when nothing is new', () => {
    expect(attachment()).toEqual({ action: 'resume' })
    expect(attachment({ source: { lastRevision: 5n } })).toEqual({ action: 'resume' })
  })

  test('a fold with nothing in it and no position is fresh', () => {
    const fold = { cursor: WatchCursor.none, populated: false }
    expect(attachment({ fold })).toEqual({ action: 'fresh' })
    expect(attachment({ fold: { ...fold, binding: undefined } })).toEqual({ action: 'fresh' })
  })

  test('entries without a position are rebuilt', () => {
    expect(attachment({ fold: { cursor: WatchCursor.none } })).toMatchObject({
      action: 'rebuild',
      reason: 'cursorMissing',
    })
  })

  test('another kind, name or scope is foreign, whatever the rest says', () => {
    const fold = { cursor: WatchCursor.none, populated: false }
    expect(attachment({ source: { kind: 'memory' }, fold })).toEqual({ action: 'foreign', differs: 'kind' })
    expect(attachment({ source: { name: 'other', incarnation: 'two' } })).toEqual({
      action: 'foreign',
      differs: 'name',
    })
    expect(attachment({ scope: ['a.'] })).toEqual({ action: 'foreign', differs: 'scope' })
    expect(attachment({ scope: [''] })).toEqual({ action: 'foreign', differs: 'scope' })
  })

  test('another incarnation is a rebuild under every policy', () => {
    for (const whenEvicted of ['drop', 'keep'] as const)
      for (const repair of ['auto', 'relist', 'restore', 'none'] as const)
        expect(attachment({ source: { incarnation: 'two' }, whenEvicted, repair })).toEqual({
          action: 'rebuild',
          reason: 'bucketRecreated',
          history: 'other',
          evictionSeen: false,
        })
  })

  test('an incarnation nobody can state is no contradiction', () => {
    expect(attachment({ source: { incarnation: undefined as never } })).toEqual({ action: 'resume' })
    const { incarnation: _, ...unstated } = binding
    expect(attachment({ fold: { binding: unstated } })).toEqual({ action: 'resume' })
    expect(attachment({ fold: { binding: undefined } })).toEqual({ action: 'resume' })
  })

  test('first, last and cursor, exhaustively: resume, rolled back, or expired', () => {
    for (const evicts of [false, true, undefined])
      for (let cursor = 0n; cursor <= 4n; cursor++)
        for (let last = 0n; last <= 4n; last++)
          for (let first = 0n; first <= last + 1n; first++) {
            const decision = attachment({
              fold: { cursor: WatchCursor.fromRevision(cursor) },
              source: { firstRevision: first, lastRevision: last, evictsCurrentValues: evicts as boolean },
            })
            const told = 'reason' in decision ? decision.reason : decision.action
            if (cursor > last) expect(told).toBe('bucketRolledBack')
            else if (first > cursor + 1n && evicts !== false) expect(told).toBe('cursorExpired')
            else expect(told).toBe('resume')
          }
  })

  test('overwriting a hot set moves the first revision and is not a loss', () => {
    expect(attachment({ source: { firstRevision: 900n, lastRevision: 1_000n } })).toEqual({
      action: 'resume',
    })
  })

  test('an expired cursor is refused where a listing may not repair', () => {
    const source = { firstRevision: 8n, evictsCurrentValues: true }
    for (const whenEvicted of ['drop', 'keep'] as const)
      for (const repair of ['auto', 'relist', 'restore', 'none'] as const) {
        const mayRelist = whenEvicted === 'drop' && (repair === 'auto' || repair === 'relist')
        expect(attachment({ source, whenEvicted, repair })).toEqual({
          ...(mayRelist ? { action: 'rebuild', history: 'same' } : { action: 'refuse' }),
          reason: 'cursorExpired',
          evictionSeen: true,
        })
      }
  })

  test('eviction that was seen stays seen within one history', () => {
    const source = { firstRevision: 8n, evictsCurrentValues: undefined as never }
    expect(attachment({ source })).toMatchObject({ evictionSeen: false })
    expect(attachment({ source, fold: { binding: { ...binding, evictionSeen: true } } })).toMatchObject({
      evictionSeen: true,
    })
    const cursor = WatchCursor.fromToken(VersionToken.fromRevision(5n), { evictionSeen: true })
    expect(attachment({ source, fold: { cursor } })).toMatchObject({ evictionSeen: true })
  })

  test('a cursor of another engine cannot be resumed in a numbered bucket, but by its own engine', () => {
    const cursor = WatchCursor.fromHex('00000000000000000001')
    expect(attachment({ fold: { cursor } })).toMatchObject({ action: 'rebuild', reason: 'cursorExpired' })
    const unnumbered = { lastRevision: undefined as never, firstRevision: undefined as never }
    expect(attachment({ fold: { cursor }, source: unnumbered })).toEqual({ action: 'resume' })
  })

  test('2^64-1 is not resumed in a bucket that cannot have it', () => {
    expect(attachment({ fold: { cursor: WatchCursor.fromRevision(MAX) } })).toMatchObject({
      reason: 'bucketRolledBack',
    })
  })

  test('what a session or the audit found is a rebuild, unless the fold is empty', () => {
    for (const finding of ['cursorExpired', 'brokenLineage', 'countMismatch', 'bucketRecreated'] as const) {
      expect(attachment({ finding })).toMatchObject({ action: 'rebuild', reason: finding })
      expect(attachment({ finding, fold: { cursor: WatchCursor.none, populated: false } })).toEqual({
        action: 'fresh',
      })
    }
    expect(attachment({ finding: 'countMismatch', repair: 'none' })).toMatchObject({ action: 'refuse' })
    expect(attachment({ finding: 'brokenLineage', repair: 'none' })).toMatchObject({ action: 'rebuild' })
  })
})

describe('attach, over every combination of what may be known', () => {
  const { incarnation: _, ...unstated } = binding
  const cursors = [
    WatchCursor.none,
    WatchCursor.fromRevision(0n),
    WatchCursor.fromRevision(3n),
    WatchCursor.fromRevision(MAX),
    WatchCursor.fromHex('00112233445566778899'),
    WatchCursor.fromToken(VersionToken.fromRevision(3n), { evictionSeen: true }),
  ]
  const options = {
    binding: [
      undefined,
      binding,
      unstated,
      { ...binding, kind: 'memory' },
      { ...binding, name: 'other' },
      { ...binding, scope: ['a.'] },
      { ...binding, incarnation: 'zero' },
      { ...binding, evictionSeen: true },
    ],
    cursor: cursors,
    populated: [false, true],
    incarnation: [undefined, 'one'],
    ends: [
      [undefined, undefined],
      [1n, 0n],
      [1n, 2n],
      [1n, 3n],
      [1n, 9n],
      [4n, 9n],
      [5n, 9n],
      [undefined, 9n],
      [5n, undefined],
    ] as const,
    evicts: [
      [undefined, undefined],
      [false, undefined],
      [true, undefined],
      [true, true],
    ] as const,
    stages: [true, false],
    restores: [undefined, true],
    whenEvicted: ['drop', 'keep'] as const,
    repair: ['auto', 'relist', 'restore', 'none'] as const,
    finding: [undefined, 'cursorExpired', 'countMismatch', 'brokenLineage'] as const,
  }

  function* inputs(): Generator<AttachInput> {
    for (const bound of options.binding)
      for (const cursor of options.cursor)
        for (const populated of options.populated)
          for (const incarnation of options.incarnation)
            for (const [firstRevision, lastRevision] of options.ends)
              for (const [evictsCurrentValues, evictsOldestFirst] of options.evicts)
                for (const whenEvicted of options.whenEvicted)
                  for (const repair of options.repair)
                    for (const finding of options.finding)
                      for (const stages of options.stages)
                        for (const restores of options.restores)
                          yield {
                            fold: { binding: bound, cursor, populated, stages },
                            source: {
                              kind: 'nats',
                              name: 'config',
                              ...(incarnation === undefined ? {} : { incarnation }),
                              ...(firstRevision === undefined ? {} : { firstRevision }),
                              ...(lastRevision === undefined ? {} : { lastRevision }),
                              ...(evictsCurrentValues === undefined ? {} : { evictsCurrentValues }),
                              ...(evictsOldestFirst === undefined ? {} : { evictsOldestFirst }),
                            },
                            scope: ['a.', 'b.'],
                            whenEvicted,
                            repair,
                            finding,
                            restores,
                          }
  }

  /** What must hold of a decision; the first that does not is named. */
  function broken(input: AttachInput): string | undefined {
    const { fold, source, whenEvicted, repair, finding, restores } = input
    const decision = protocol.attach(input)
    const { binding: bound, cursor, populated } = fold
    const { revision } = cursor
    const foreign =
      bound !== undefined &&
      (bound.kind !== 'nats' || bound.name !== 'config' || bound.scope !== binding.scope)
    const recreated =
      bound?.incarnation !== undefined &&
      source.incarnation !== undefined &&
      bound.incarnation !== source.incarnation
    const empty = cursor.isNone && !populated
    const { firstRevision: first, lastRevision: last } = source
    const rolledBack = revision !== undefined && last !== undefined && revision > last
    const seen = bound?.evictionSeen === true || cursor.memo !== undefined
    const evicts = source.evictsCurrentValues
    const gap =
      revision !== undefined &&
      first !== undefined &&
      first > revision + 1n &&
      (evicts !== false || (whenEvicted === 'keep' && seen))
    const expired = 'reason' in decision && decision.reason === 'cursorExpired' && evicts === true
    const lostNothing = source.evictsOldestFirst === true && first !== undefined && first <= 1n
    const neverEvicted = evicts === false || (evicts === true && lostNothing && fold.stages !== false)
    const isTruth = whenEvicted === 'drop' || (!seen && !expired && neverEvicted)
    const mayRelist = isTruth && (repair === 'auto' || repair === 'relist')
    if ((decision.action === 'foreign') !== foreign) return 'foreign exactly when the binding differs'
    if ((decision.action === 'fresh') !== (!foreign && empty)) return 'fresh exactly when there is nothing'
    if (
      decision.action === 'resume' &&
      (recreated || rolledBack || gap || finding !== undefined || cursor.isNone)
    )
      return 'never resumed against what is known'
    if (decision.action === 'rebuild' && decision.history === 'same' && !mayRelist)
      return 'a listing repairs only where the policy allows it'
    if (decision.action === 'rebuild' && decision.history === 'other' && decision.evictionSeen)
      return 'another history has no eviction yet'
    const mayRestore = restores === true && whenEvicted === 'keep' && repair !== 'relist' && repair !== 'none'
    if (decision.action === 'refuse' && (mayRelist || mayRestore))
      return 'refused only where neither a listing nor an artifact may repair'
    if (decision.action === 'restore' && (mayRelist || !mayRestore))
      return 'an artifact repairs only where a listing may not, and the policy allows it'
    if (!foreign && !empty && (recreated || (rolledBack && !cursor.isNone)))
      if (decision.action !== 'rebuild' || decision.history !== 'other')
        return 'another history replaces the fold under every policy'
    if ('evictionSeen' in decision && seen && !decision.evictionSeen)
      if (decision.action !== 'rebuild' || decision.history === 'same') return 'eviction is never forgotten'
    return undefined
  }

  test('no combination breaks what an attachment must hold', () => {
    const actions = new Map<string, number>()
    const failures: unknown[] = []
    for (const input of inputs()) {
      const { action } = protocol.attach(input)
      actions.set(action, (actions.get(action) ?? 0) + 1)
      const what = broken(input)
      if (what !== undefined && failures.length < 3) failures.push([what, input, protocol.attach(input)])
    }
    expect(failures).toEqual([])
    expect([...actions.keys()].sort()).toEqual(['foreign', 'fresh', 'rebuild', 'refuse', 'restore', 'resume'])
  })
})

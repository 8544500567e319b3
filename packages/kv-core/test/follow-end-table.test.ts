import { setTimeout as wait } from 'node:timers/promises'
import { KvError, SnapshotError, type Change } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { MapLocation } from './map-store.ts'
import { TestBucket } from './test-bucket.ts'

type Options = NonNullable<Parameters<typeof FollowRun.start>[0]>

interface State {
  readonly options?: (bucket: TestBucket) => Options
  /** Brings the follower there, and leaves it there. */
  reach(run: FollowRun): Promise<void>
  /** What makes it fail for good. */
  readonly fail: (run: FollowRun) => void
  readonly failure: string
  /** What an end that was asked for says, where it cannot be a good one. */
  readonly endsIn?: string
}

/** A source that comes back as another bucket: no retry mends that. */
const comesBackForeign = {
  fail: ({ bucket }: FollowRun): void => {
    bucket.name = 'other'
    bucket.unreachable = undefined
    bucket.thaw()
    bucket.breakSessions()
  },
  failure: 'ForeignFold',
}

/** The disk is full from now on. */
const breaksTheDisk = {
  fail: (run: FollowRun): void => {
    const broken = (): never => {
      throw new SnapshotError('Io', 'no space left')
    }
    run.location.failing = { apply: broken, stagedApply: broken, stagedCommit: broken }
    run.bucket.thaw()
    run.bucket.put('another')
  },
  failure: 'Io',
}

const spendsItsBudget = { fail: (): void => undefined }

const STATES: Record<string, State> = {
  'before the source is reachable': {
    options: (bucket) => {
      bucket.unreachable = new KvError('Unreachable', 'no route')
      return {}
    },
    reach: (run) => run.until(() => run.bucket.opened >= 2),
    ...comesBackForeign,
  },
  'while the source is being opened': {
    options: (bucket) => {
      bucket.frozen = true
      return {
        source: async () => {
          while (bucket.frozen) await wait(5)
          return bucket.source()
        },
      }
    },
    reach: (run) => run.until(() => run.follower.status.state === 'connecting'),
    ...comesBackForeign,
  },
  'while the source is being described': {
    options: (bucket) => {
      bucket.frozen = true
      return {}
    },
    reach: (run) => run.until(() => run.bucket.opened === 1),
    ...comesBackForeign,
  },
  'in the middle of hydration': {
    options: (bucket) => {
      for (let i = 0; i < 500; i++) bucket.put(`many.${i}`)
      return { batch: { maxCount: 100 }, onApplied: () => (bucket.frozen = true) }
    },
    reach: (run) => run.until(() => run.bucket.frozen),
    ...breaksTheDisk,
  },
  live: { reach: (run) => run.caughtUp(), ...breaksTheDisk },
  stale: {
    options: () => ({ staleAfterMs: 60 }),
    reach: async (run) => {
      await run.caughtUp()
      run.bucket.frozen = true
      await run.until(() => run.follower.status.state === 'stale')
    },
    ...breaksTheDisk,
  },
  'between two sessions': {
    reach: async (run) => {
      await run.caughtUp()
      run.bucket.unreachable = new KvError('Unreachable', 'gone')
      run.bucket.breakSessions()
      await run.until(() => run.bucket.opened >= 3)
    },
    ...comesBackForeign,
  },
  'in the middle of a rebuild': {
    options: () => ({ batch: { maxCount: 100 } }),
    reach: async (run) => {
      await run.caughtUp()
      run.bucket.recreate()
      for (let i = 0; i < 500; i++) run.bucket.put(`new.${i}`)
      run.location.failing.stagedApply = () => (run.bucket.frozen = true)
      run.bucket.breakSessions()
      await run.until(() => run.follower.status.relisted > 0)
    },
    ...breaksTheDisk,
  },
  'while apply keeps throwing': {
    options: () => ({
      apply: () => {
        throw new Error('the domain says no')
      },
    }),
    reach: (run) => run.until(() => run.follower.status.reason === 'ApplyFailed'),
    ...spendsItsBudget,
    failure: 'ApplyFailed',
  },
  'while apply keeps rejecting': {
    options: () => ({ apply: () => Promise.reject(new Error('the domain says no')) }),
    reach: (run) => run.until(() => run.follower.status.reason === 'ApplyFailed'),
    ...spendsItsBudget,
    failure: 'ApplyFailed',
  },
  'while a commit keeps failing': {
    reach: async (run) => {
      await run.caughtUp()
      breaksTheDisk.fail(run)
      await run.until(() => run.follower.status.reason === 'Io')
    },
    ...spendsItsBudget,
    failure: 'Io',
    endsIn: 'Io',
  },
  'while the fold cannot be opened again': {
    reach: async (run) => {
      await run.caughtUp()
      breaksTheDisk.fail(run)
      let opens = 0
      run.location.failing.open = () => {
        opens++
        throw new SnapshotError('Backend', 'the disk is away')
      }
      await run.until(() => opens > 0)
    },
    ...spendsItsBudget,
    failure: 'Backend',
    endsIn: 'Backend',
  },
}

const nextOf = (changes: AsyncIterable<Change>): Promise<unknown> => changes[Symbol.asyncIterator]().next()

/** Each call that waits for the follower. */
const CALLS: Record<string, (run: FollowRun) => Promise<unknown>> = {
  caughtUp: ({ follower }) => follower.caughtUp(),
  waitFor: ({ follower }) => follower.waitFor(1_000_000n),
  'changes()': async ({ follower }) => nextOf(follower.changes({ prefix: 'never' })),
  exclusive: ({ follower }) => follower.exclusive(() => 'ran'),
  closed: ({ follower }) => follower.closed,
}

type Outcomes = Record<string, unknown>

/** How each call ends: its result, or the code it rejects with; `hangs` after five seconds. */
async function outcomes(run: FollowRun): Promise<Outcomes> {
  const settled = Object.entries(CALLS).map(async ([name, call]) => {
    const outcome = call(run).then(
      (result) => result,
      (error: unknown) => (KvError.is(error) || SnapshotError.is(error) ? error.code : error),
    )
    const late = wait(5_000, 'hangs', { ref: false })
    return [name, await Promise.race([outcome, late])] as const
  })
  return Object.fromEntries<unknown>(await Promise.all(settled))
}

const DONE = { done: true, value: undefined }

async function inState(name: string, extra: Options): Promise<FollowRun> {
  const state = STATES[name]!
  const bucket = new TestBucket()
  bucket.put('first')
  const location = new MapLocation()
  {
    await using before = await FollowRun.start({ bucket, location })
    await before.caughtUp()
  }
  bucket.put('second')
  bucket.opened = 0
  const run = await FollowRun.start({ ...state.options?.(bucket), ...extra, bucket, location })
  await state.reach(run)
  return run
}

describe.each(Object.keys(STATES))('%s', (name) => {
  const { fail, failure, endsIn } = STATES[name]!
  // In these it may be live for a moment before it fails.
  const mayCatchUp = ['live', 'stale'].includes(name)

  test.each(['close', 'abort'] as const)('%s ends every call, and lets go of the store', async (how) => {
    const stop = new AbortController()
    const run = await inState(name, { signal: stop.signal })
    const before = outcomes(run)
    await wait(20)
    const startedMs = performance.now()
    if (how === 'abort') stop.abort(new Error('enough'))
    const closing = how === 'close' ? run.follower.close() : run.follower.closed
    const end = await closing.then(
      () => undefined,
      (error: SnapshotError) => error.code,
    )
    expect(performance.now() - startedMs).toBeLessThan(3_000)
    expect(end).toBe(endsIn)
    const seen = await before
    expect(seen).toMatchObject({
      ...(mayCatchUp ? {} : { caughtUp: endsIn ?? 'Closed' }),
      waitFor: endsIn ?? 'Closed',
      'changes()': endsIn ?? DONE,
      closed: endsIn,
    })
    expect(['ran', endsIn ?? 'Closed']).toContain(seen['exclusive'])
    expect(await outcomes(run)).toEqual({
      caughtUp: endsIn ?? 'Closed',
      waitFor: endsIn ?? 'Closed',
      'changes()': endsIn ?? DONE,
      exclusive: endsIn ?? 'Closed',
      closed: endsIn,
    })
    await run.follower.close().catch(() => undefined)
    expect(run.follower.status.state).toBe('closed')
    expect(run.location.holder).toBeUndefined()
  })

  test('a failure ends every call with its code; reads go on where the fold is open, until close', async () => {
    const run = await inState(name, { retryBudgetMs: 300 })
    const before = outcomes(run)
    await wait(20)
    fail(run)
    const seen = await before
    expect(seen).toMatchObject({
      ...(mayCatchUp ? {} : { caughtUp: failure }),
      waitFor: failure,
      'changes()': failure,
      closed: failure,
    })
    expect(['ran', failure]).toContain(seen['exclusive'])
    expect(run.follower.status).toMatchObject({ state: 'failed', reason: failure })
    if (failure !== 'Backend') expect(run.follower.has('first')).toBe(true)
    expect(await outcomes(run)).toEqual({
      caughtUp: failure,
      waitFor: failure,
      'changes()': failure,
      exclusive: failure,
      closed: failure,
    })
    await run.follower.close()
    expect(run.follower.status.state).toBe('closed')
    expect(run.location.holder).toBeUndefined()
  })

  test('the cursor that was told never passes what the store holds', async () => {
    const run = await inState(name, { retryBudgetMs: 300 })
    fail(run)
    await run.follower.closed.catch(() => undefined)
    const held = run.location.image!.cursor
    for (const position of run.positions) expect(position! <= held.revision!).toBe(true)
    expect(run.follower.status.appliedCursor.equals(held)).toBe(true)
    await run.follower.close()
  })
})

test('a wait that has its own signal or time limit ends by it in every state', async () => {
  for (const name of Object.keys(STATES).filter((each) => each !== 'live')) {
    const run = await inState(name, {})
    const reason = new Error('enough')
    const stop = new AbortController()
    const calls = (signal: AbortSignal): Promise<unknown>[] => [
      run.follower.caughtUp({ signal }),
      run.follower.waitFor(1_000_000n, { signal }),
      nextOf(run.follower.changes({ signal, prefix: 'never' })),
    ]
    const midway = calls(stop.signal).map((call) => expect(call, name).rejects.toBe(reason))
    stop.abort(reason)
    await Promise.all(midway)
    for (const call of calls(AbortSignal.abort(reason))) await expect(call, name).rejects.toBe(reason)
    for (const call of [
      run.follower.caughtUp({ timeoutMs: 10 }),
      run.follower.waitFor(1_000_000n, { timeoutMs: 10 }),
    ])
      await expect(call, name).rejects.toMatchObject({ code: 'Timeout' })
    await run.follower.close().catch(() => undefined)
  }
})

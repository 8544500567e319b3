import { SnapshotError, type Change } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'

async function taken(changes: AsyncIterable<Change>, count: number): Promise<Change[]> {
  const seen: Change[] = []
  for await (const change of changes) if (seen.push(change) === count) break
  return seen
}

describe('changes()', () => {
  test('starts now, comes in commit order, and only after the commit', async () => {
    await using run = await FollowRun.start()
    run.bucket.put('before')
    await run.caughtUp()
    const changes = run.follower.changes()
    const reading = (async () => {
      for await (const change of changes) {
        expect(run.location.image!.cursor.revision! >= change.version.revision!).toBe(true)
        if (change.key === 'c') return change
      }
      return undefined
    })()
    for (const key of ['a', 'b', 'c']) run.bucket.put(key)
    expect(await reading).toMatchObject({ key: 'c', operation: 'put', phase: 'live' })
  })

  test('keeps to its prefix', async () => {
    await using run = await FollowRun.start()
    await run.caughtUp()
    const changes = run.follower.changes({ prefix: 'b' })
    for (const key of ['a', 'b.1', 'c', 'b.2']) run.bucket.put(key)
    expect((await taken(changes, 2)).map(({ key }) => key)).toEqual(['b.1', 'b.2'])
  })

  test('a reader more than its buffer behind gets ChangesLagged; the fold and other readers go on', async () => {
    await using run = await FollowRun.start()
    await run.caughtUp()
    const slow = run.follower.changes({ buffer: 5 })
    const other = run.follower.changes()
    for (let i = 0; i < 20; i++) run.bucket.put(`key.${i}`)
    await run.waitFor(20n)
    await expect(taken(slow, 20)).rejects.toMatchObject({ name: 'KvError', code: 'ChangesLagged' })
    expect(await taken(other, 20)).toHaveLength(20)
    expect(run.follower.status.state).toBe('live')
  })

  test('a reader that keeps up is never lagged', async () => {
    await using run = await FollowRun.start({ batch: { windowMs: 0 } })
    await run.caughtUp()
    const reading = taken(run.follower.changes({ buffer: 2 }), 30)
    for (let i = 0; i < 30; i++) await run.waitFor(run.bucket.put(`key.${i}`))
    expect(await reading).toHaveLength(30)
  })

  test('ends with the follower, after what it holds', async () => {
    const run = await FollowRun.start()
    await run.caughtUp()
    const changes = run.follower.changes()
    await run.waitFor(run.bucket.put('a'))
    await run.follower.close()
    expect(await taken(changes, 9)).toHaveLength(1)
    expect(await taken(run.follower.changes(), 9)).toEqual([])
  })

  test('rejects with what ended the follower', async () => {
    await using run = await FollowRun.start({ retryBudgetMs: 0 })
    await run.caughtUp()
    const reading = expect(taken(run.follower.changes(), 1)).rejects.toMatchObject({ code: 'Io' })
    run.location.failing.apply = () => {
      throw new SnapshotError('Io', 'broken')
    }
    run.bucket.put('a')
    await reading
    await expect(run.follower.closed).rejects.toMatchObject({ code: 'Io' })
  })

  test('ends with the reason of its signal, and when its reader leaves', async () => {
    await using run = await FollowRun.start()
    await run.caughtUp()
    const reason = new Error('enough')
    const stop = new AbortController()
    const reading = expect(taken(run.follower.changes({ signal: stop.signal }), 1)).rejects.toBe(reason)
    stop.abort(reason)
    await reading
    const changes = run.follower.changes()
    run.bucket.put('a')
    expect(await taken(changes, 1)).toHaveLength(1)
    run.bucket.put('b')
    expect(await taken(changes, 1)).toEqual([])
  })

  test('gives nothing more once its signal aborts, before or in the middle, although changes wait', async () => {
    await using run = await FollowRun.start()
    await run.caughtUp()
    const reason = new Error('enough')
    const stop = new AbortController()
    const changes = run.follower.changes({ signal: stop.signal })
    for (const key of ['a', 'b', 'c']) run.bucket.put(key)
    await run.waitFor(3n)
    expect(await changes[Symbol.asyncIterator]().next()).toMatchObject({ value: { key: 'a' } })
    stop.abort(reason)
    await expect(taken(changes, 1)).rejects.toBe(reason)
    expect(await taken(changes, 1)).toEqual([])
    const late = run.follower.changes({ signal: AbortSignal.abort(reason) })
    run.bucket.put('d')
    await run.waitFor(4n)
    await expect(taken(late, 1)).rejects.toBe(reason)
  })

  test('is lagged by one change more than its buffer, and not by its buffer', async () => {
    await using run = await FollowRun.start({ batch: { windowMs: 0 } })
    await run.caughtUp()
    const full = run.follower.changes({ buffer: 3 })
    for (const key of ['a', 'b', 'c']) run.bucket.put(key)
    await run.waitFor(3n)
    expect(await taken(full, 3)).toHaveLength(3)
    const over = run.follower.changes({ buffer: 3 })
    for (const key of ['d', 'e', 'f', 'g']) run.bucket.put(key)
    await run.waitFor(7n)
    await expect(taken(over, 1)).rejects.toMatchObject({ code: 'ChangesLagged' })
  })

  test('refuses a buffer that holds nothing', async () => {
    await using run = await FollowRun.start()
    expect(() => run.follower.changes({ buffer: 0 })).toThrow(RangeError)
  })
})

import { mkdtemp, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { SnapshotError, VersionToken, WatchCursor } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { MapLocation } from './map-store.ts'
import { put, ScriptedWatcher } from './scripted-watcher.ts'
import { bucketOf, TestBucket } from './test-bucket.ts'

describe('opening', () => {
  test.each([
    new SnapshotError('Corrupted', 'a bad checksum', { at: 4_711 }),
    new SnapshotError('InvalidFormat', 'an unknown record', { at: 4_711 }),
  ])('a damaged fold ($code) sets it aside, says so, and rebuilds', async (damage) => {
    const location = new MapLocation()
    location.damage = damage
    await using run = await FollowRun.start({ bucket: bucketOf('a'), location })
    expect(run.follower.status.recovery).toEqual({
      verdict: 'corrupt',
      at: 4_711,
      bytes: 0,
      movedTo: 'elsewhere',
    })
    await run.caughtUp()
    expect(run.keys).toEqual(['a'])
    expect(location.setAsides).toBe(1)
  })

  test('says how many bytes were set aside: of a file, or of the files of a directory', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'slip-aside-'))
    try {
      const folds = join(directory, 'folds')
      await mkdir(join(folds, 'inside'), { recursive: true })
      await writeFile(join(folds, 'data'), new Uint8Array(700))
      await writeFile(join(folds, 'inside', 'more'), new Uint8Array(50))
      await symlink(directory, join(folds, 'elsewhere'))
      for (const [asideName, bytes] of [
        [join(folds, 'data'), 700],
        [folds, 750],
        [join(folds, 'nothing'), 0],
      ] as const) {
        const location = new MapLocation()
        location.asideName = asideName
        location.damage = new SnapshotError('Corrupted', 'a bad checksum', { at: 4_711 })
        await using run = await FollowRun.start({ location })
        expect(run.follower.status.recovery).toMatchObject({ bytes, movedTo: asideName })
      }
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  test.each([
    new SnapshotError('Busy', 'held by process 7'),
    new SnapshotError('InvalidFormat', 'not ours'),
    new SnapshotError('InvalidFormat', 'not ours', { at: 0 }),
    new SnapshotError('Io', 'no permission'),
  ])('rejects with $code at $at and touches nothing', async (error) => {
    const location = new MapLocation()
    location.damage = error
    await expect(FollowRun.start({ location })).rejects.toBe(error)
    expect(location.setAsides).toBe(0)
    expect(location.opens).toBe(1)
  })

  test('asks for an artifact only when nothing local exists, and goes on without one', async () => {
    const asked: string[] = []
    const bootstrap = async (): Promise<boolean> => {
      asked.push('asked')
      throw new Error('no artifact')
    }
    const location = new MapLocation()
    {
      const bucket = bucketOf('a', 'b')
      bucket.maxBatch = 1
      await using run = await FollowRun.start({
        bucket,
        location,
        bootstrap,
        batch: { maxCount: 1 },
        apply: ([first]) => {
          bucket.frozen = first?.key === 'a'
        },
      })
      expect(run.follower.status.error?.message).toBe('no artifact')
      await run.until(() => run.follower.status.applied > 0)
      expect(run.follower.status).toMatchObject({ state: 'catchingUp', error: { message: 'no artifact' } })
      run.bucket.thaw()
      await run.caughtUp()
      expect(run.follower.status.error).toBeUndefined()
    }
    await using run = await FollowRun.start({ bucket: bucketOf('a'), location, bootstrap })
    await run.caughtUp()
    expect(asked).toEqual(['asked'])
  })
})

describe('a commit that fails', () => {
  test('is made again on the reopened fold from memory: apply does not see the batch twice', async () => {
    await using run = await FollowRun.start({ bucket: bucketOf('a') })
    await run.caughtUp()
    let failures = 0
    run.location.failing.apply = () => {
      if (++failures <= 2) throw new SnapshotError('Io', 'no space left')
    }
    await run.waitFor(run.bucket.put('b'))
    expect(failures).toBe(3)
    expect(run.location.opens).toBe(3)
    expect(run.applied.map(({ key }) => key)).toEqual(['a', 'b'])
    expect(run.keys).toEqual(['a', 'b'])
    expect(run.positions).toEqual([1n, 2n])
    expect(run.follower.status).toMatchObject({ applied: 2, delivered: 2, sessions: 1 })
  })

  test('does not hand an update with an unknown version to apply again', async () => {
    const unknown = { ...put('a', 0), version: VersionToken.unknown }
    const watcher = new ScriptedWatcher([unknown], { caughtUp: true })
    const location = new MapLocation()
    let failures = 0
    location.failing.apply = () => {
      if (++failures === 1) throw new SnapshotError('Io', 'no space left')
    }
    await using run = await FollowRun.start({ source: async () => ({ name: 'script', watcher }), location })
    await run.caughtUp()
    expect(failures).toBeGreaterThan(1)
    expect(run.applied.map(({ key }) => key)).toEqual(['a'])
  })

  test('is retried while opening fails too, and nothing was moved aside', async () => {
    await using run = await FollowRun.start({ bucket: bucketOf('a') })
    await run.caughtUp()
    let opens = 0
    let failed = false
    run.location.failing = {
      apply: () => {
        if (!failed) {
          failed = true
          throw new Error('the disk went away')
        }
      },
      open: () => {
        if (++opens <= 2) throw new SnapshotError('Io', 'the disk is away')
      },
    }
    await run.waitFor(run.bucket.put('b'))
    expect(opens).toBe(3)
    expect(run.keys).toEqual(['a', 'b'])
    expect(run.location.setAsides).toBe(0)
  })

  test('is told: the fold is not live while it is behind, and why; then it is live again', async () => {
    await using run = await FollowRun.start({ bucket: bucketOf('a') })
    await run.caughtUp()
    let broken = true
    run.location.failing.apply = () => {
      if (broken) throw new SnapshotError('Io', 'no space left')
    }
    run.bucket.put('b')
    await run.until(() => run.follower.status.reason === 'Io')
    const { status } = run.follower
    expect(status).toMatchObject({ state: 'catchingUp', lag: 1n, error: { code: 'Io' } })
    const live = run.caughtUp()
    broken = false
    await live
    expect(run.follower.status).toMatchObject({ state: 'live', lag: 0n, applied: 2 })
    expect(run.follower.status.error).toBeUndefined()
    expect(run.states).toEqual(['catchingUp', 'live', 'catchingUp', 'live'])
    expect(run.follower.status.sessions).toBe(1)
  })

  test('is not tried again after an abort, and the error is that of the commit', async () => {
    const run = await FollowRun.start({ bucket: bucketOf('a') })
    await run.caughtUp()
    let attempts = 0
    run.location.failing.apply = () => {
      attempts++
      throw new SnapshotError('Io', 'no space left')
    }
    run.bucket.put('b')
    await run.until(() => attempts === 3)
    const { opens } = run.location
    await expect(run.follower.close()).rejects.toMatchObject({
      code: 'Io',
      cursor: WatchCursor.fromRevision(1n),
    })
    expect([attempts, run.location.opens]).toEqual([3, opens])
    expect(run.positions).toEqual([1n])
  })

  test('is given up at once by an abort also while the fold is being opened, with the error of the commit', async () => {
    const run = await FollowRun.start({ bucket: bucketOf('a') })
    await run.caughtUp()
    run.location.failing = {
      apply: () => {
        throw new SnapshotError('Backend', 'the page is gone')
      },
    }
    run.location.hangingOpen = true
    run.bucket.put('b')
    await run.until(() => run.location.holder === undefined)
    await wait(20)
    await expect(run.follower.close()).rejects.toMatchObject({
      code: 'Backend',
      message: expect.stringContaining('the page is gone'),
    })
    expect(run.follower.status.state).toBe('closed')
  })

  test('ends in the typed error of the store once the budget is spent, with the cursor of what is held', async () => {
    await using run = await FollowRun.start({ bucket: bucketOf('a'), retryBudgetMs: 200 })
    await run.caughtUp()
    run.location.failing.apply = () => {
      throw new SnapshotError('Io', 'no space left', { path: 'fold' })
    }
    run.bucket.put('b')
    const error = await run.failure()
    expect(error).toMatchObject({ name: 'SnapshotError', code: 'Io', path: 'fold' })
    expect((error as SnapshotError).cursor?.revision).toBe(1n)
    expect(run.follower.status).toMatchObject({ state: 'failed', reason: 'Io' })
    expect(run.positions).toEqual([1n])
    expect(run.location.image!.cursor.revision).toBe(1n)
  })

  test('on a fold that comes back older makes a new session from there, and apply sees nothing twice', async () => {
    await using run = await FollowRun.start({ bucket: bucketOf('a', 'b'), batch: { maxCount: 1 } })
    await run.caughtUp()
    let failed = false
    run.location.failing.apply = () => {
      if (failed) return
      failed = true
      const { image } = run.location
      image!.entries.delete('b')
      image!.cursor = WatchCursor.fromRevision(1n)
      throw new SnapshotError('Io', 'lost a page')
    }
    await run.waitFor(run.bucket.put('c'))
    expect(run.keys).toEqual(['a', 'b', 'c'])
    expect(run.bucket.watches.at(-1)!.after).toBe(1n)
    expect(run.applied.map(({ key }) => key)).toEqual(['a', 'b', 'c'])
  })

  test('on a fold that comes back damaged hydrates a new one and says so', async () => {
    await using run = await FollowRun.start({ bucket: bucketOf('a', 'b') })
    await run.caughtUp()
    let failed = false
    run.location.failing.apply = () => {
      if (failed) return
      failed = true
      run.location.damage = new SnapshotError('Corrupted', 'a bad checksum', { at: 9 })
      throw new SnapshotError('Io', 'the write tore')
    }
    await run.waitFor(run.bucket.put('c'))
    await run.caughtUp()
    expect(run.keys).toEqual(['a', 'b', 'c'])
    expect(run.follower.status.recovery).toMatchObject({ verdict: 'corrupt', movedTo: 'elsewhere' })
  })

  test('the cursor told to the caller is never ahead of the store, whatever fails when', async () => {
    const bucket = new TestBucket()
    for (let i = 0; i < 400; i++) bucket.put(`key.${i}`)
    const location = new MapLocation()
    let call = 0
    location.failing.apply = () => {
      if (++call % 7 === 3) throw new SnapshotError('Io', 'now and then')
    }
    const told: bigint[] = []
    await using run = await FollowRun.start({
      bucket,
      location,
      batch: { maxCount: 40 },
      onApplied: (cursor) => {
        expect(location.image!.cursor.revision! >= cursor.revision!).toBe(true)
        told.push(cursor.revision!)
      },
    })
    await run.caughtUp()
    expect(told).toEqual(told.toSorted((a, b) => (a < b ? -1 : 1)))
    expect(run.applied.map(({ revision }) => revision)).toEqual(
      Array.from({ length: 400 }, (_, i) => BigInt(i + 1)),
    )
  })
})

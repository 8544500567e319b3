import { setTimeout as wait } from 'node:timers/promises'
import {
  KvError,
  SnapshotError,
  VersionToken,
  WatchCursor,
  watchApplied,
  type KvUpdate,
  type KvWatcher,
} from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { MapLocation, textOf } from './map-store.ts'
import { at, put, remove, ScriptedWatcher } from './scripted-watcher.ts'
import { WatchRun } from './watch-run.ts'

const HOUR = 3_600_000

describe('the cursor', () => {
  test('advances only after apply', async () => {
    const sampled: (bigint | undefined)[] = []
    let published: bigint | undefined
    const run = new WatchRun(
      [
        [put('a', 1), put('b', 2)],
        [put('c', 3), put('d', 4)],
      ],
      {
        batch: { maxCount: 2, windowMs: HOUR },
        apply: async () => {
          await wait(5)
          sampled.push(published)
        },
        onApplied: (cursor) => {
          published = cursor.revision
        },
      },
    )
    await run.until(() => published === 4n)
    expect(sampled).toEqual([undefined, 2n])
    await run.abort()
  })

  test('passes updates that parse rejects; apply is not called for them', async () => {
    const run = new WatchRun([[put('a', 5), put('b', 6), put('c', 7)], { caughtUp: true }], {
      parse: () => undefined,
    })
    await run.until(() => run.positions.length > 0)
    expect(run.applied).toEqual([])
    expect((await run.abort()).revision).toBe(7n)
  })

  test('passes a rejected update between two kept ones', async () => {
    const run = new WatchRun([[put('a', 5), put('bad', 6), put('c', 7)]], {
      parse: (update) => (update.key === 'bad' ? undefined : update),
    })
    await run.until(() => run.positions.length > 0)
    expect(run.applied).toEqual([['a', 'c']])
    expect((await run.abort()).revision).toBe(7n)
  })

  test('is not moved by an update with an unknown version, which is applied', async () => {
    const unknown: KvUpdate = { ...put('b', 0), version: VersionToken.unknown }
    const run = new WatchRun([[put('a', 5), unknown]])
    await run.until(() => run.applied.length > 0)
    expect(run.applied).toEqual([['a', 'b']])
    expect((await run.abort()).revision).toBe(5n)
  })

  test('with only unknown versions stays where it was, and onApplied is silent', async () => {
    const unknown: KvUpdate = { ...put('b', 0), version: VersionToken.unknown }
    const location = new MapLocation()
    const run = new WatchRun([[unknown], { caughtUp: true }], { store: await location.open() })
    await run.until(() => run.applied.length > 0)
    expect((await run.abort()).isNone).toBe(true)
    expect(run.positions).toEqual([])
    expect(location.image!.entries.size).toBe(1)
  })

  test('is what it was when nothing was delivered', async () => {
    const run = new WatchRun([], { after: at(9) })
    await wait(20)
    expect(await run.abort()).toEqual(at(9))
    expect(run.positions).toEqual([])
    const none = new WatchRun([])
    expect((await none.abort()).isNone).toBe(true)
  })

  test('is advanced by a bookmark in a quiet scope, and keeps still for an older one', async () => {
    const location = new MapLocation()
    const run = new WatchRun([[put('a', 3)], { bookmark: at(8), caughtUp: true }, { bookmark: at(5) }], {
      store: await location.open(),
    })
    await run.until(() => location.image!.cursor.revision === 8n)
    await wait(30)
    expect((await run.abort()).revision).toBe(8n)
    expect(run.positions).toEqual([8n])
  })

  test('bookmarks alone are committed about once a second, and at the end', async () => {
    const location = new MapLocation()
    const many = Array.from({ length: 50 }, (_, i) => ({ bookmark: at(i + 1) }))
    const run = new WatchRun(many, { store: await location.open() })
    await run.until(() => run.watcher.pulls === 50)
    await wait(30)
    expect(location.commits.length).toBeLessThanOrEqual(1)
    expect((await run.abort()).revision).toBe(50n)
    expect(location.image!.cursor.revision).toBe(50n)
  })

  test('keeps the memo it resumed with', async () => {
    const after = WatchCursor.fromToken(VersionToken.fromRevision(2n), { evictionSeen: true })
    const run = new WatchRun([[put('a', 3)]], { after })
    await run.until(() => run.positions.length > 0)
    expect((await run.abort()).memo).toEqual({ evictionSeen: true })
  })

  test('never goes back: a revision delivered again ends the watch with what came before applied', async () => {
    const run = new WatchRun(
      [
        [put('a', 3), put('b', 4)],
        [put('c', 4), put('d', 5)],
      ],
      { batch: { windowMs: HOUR } },
    )
    expect(await run.failure()).toMatchObject({ code: 'BucketRolledBack', cursor: at(4) })
    expect(run.applied).toEqual([['a', 'b']])
    const resumed = new WatchRun([[put('c', 9)]], { after: at(9) })
    expect(await resumed.failure()).toMatchObject({ code: 'BucketRolledBack', cursor: at(9) })
  })
})

describe('the store', () => {
  test('holds every raw update, the cursor, and what parse rejected', async () => {
    const location = new MapLocation()
    const run = new WatchRun([[put('a', 1), put('b', 2)], [remove('a', 3)], { caughtUp: true }], {
      store: await location.open(),
      parse: () => undefined,
    })
    await run.until(() => run.positions.at(-1) === 3n)
    expect([...location.image!.entries.keys()]).toEqual(['b'])
    expect(location.image!.cursor.revision).toBe(3n)
    await run.abort()
  })

  test('must stand where the watch resumes', async () => {
    const store = await new MapLocation().open()
    await store.apply([put('a', 4)], at(4))
    const stop = new AbortController()
    const watcher = new ScriptedWatcher([put('b', 5)])
    await expect(watchApplied({ watcher, store, after: at(3), signal: stop.signal })).rejects.toThrow(
      TypeError,
    )
    const run = new WatchRun([[put('b', 5)]], { store })
    await run.until(() => run.positions.length > 0)
    expect(run.watcher.seen[0]!.options.after).toEqual(at(4))
    await run.abort()
  })

  test('a rejected commit ends the watch with its code and the cursor of what is held', async () => {
    const location = new MapLocation()
    const store = await location.open()
    location.failing.apply = (_batch, cursor) => {
      if (cursor.revision === 2n) throw new SnapshotError('Io', 'no space left', { path: 'fold' })
    }
    const run = new WatchRun([[put('a', 1)], [put('b', 2)], [put('c', 3)]], { store, batch: { maxCount: 1 } })
    expect(await run.failure()).toMatchObject({
      name: 'SnapshotError',
      code: 'Io',
      path: 'fold',
      cursor: at(1),
    })
    expect(run.positions).toEqual([1n])
    await store.close()
    const again = new WatchRun([[put('b', 2)], [put('c', 3)]], {
      store: await reopened(location),
      after: at(1),
    })
    await again.until(() => again.positions.at(-1) === 3n)
    expect(textOf(location.holder!, 'b')).toBe('b')
    await again.abort()
  })

  test('an update above its limits ends the watch at once', async () => {
    const location = new MapLocation()
    const store = await location.open()
    location.failing.apply = () => {
      throw new SnapshotError('LimitExceeded', 'too long')
    }
    const run = new WatchRun([[put('a', 1)]], { store })
    expect(await run.failure()).toMatchObject({ code: 'LimitExceeded', cursor: WatchCursor.none })
  })
})

async function reopened(location: MapLocation): ReturnType<MapLocation['open']> {
  location.failing = {}
  return location.open()
}

describe('the watch', () => {
  test('gets scope, position and what an empty value is', async () => {
    const scope = { prefixes: ['a.', 'b.'] }
    const run = new WatchRun([], { scope, after: at(9), emptyValues: 'keep' })
    await run.abort()
    const { scope: given, options } = run.watcher.seen[0]!
    expect(given).toBe(scope)
    expect(options.after).toEqual(at(9))
    expect(options.emptyValues).toBe('keep')
    const full = new WatchRun([])
    await full.abort()
    expect(full.watcher.seen[0]!.options.after).toBeUndefined()
  })

  test.each([
    [new KvError('PermissionDenied', 'the server said no'), 'PermissionDenied'],
    [new Error('the server said no'), 'Unreachable'],
  ])('%o ends it with its text, a code and the cursor', async (thrown, code) => {
    const run = new WatchRun([[put('a', 1)], thrown])
    const error = await run.failure()
    expect(error).toMatchObject({ code, cause: thrown, cursor: at(1) })
    expect(error.message).toContain('the server said no')
    expect(run.applied).toEqual([['a']])
  })

  test.each(['watch', 'iterate', 'next'] as const)(
    'that throws in %s ends it as a rejection does',
    async (part) => {
      const thrown = new KvError('PermissionDenied', 'not today')
      const fails = (which: string): void => {
        if (which === part) throw thrown
      }
      const watcher: KvWatcher = {
        describe: () => Promise.reject(thrown),
        watch: () => {
          fails('watch')
          return {
            [Symbol.asyncIterator]: () => {
              fails('iterate')
              return {
                next: () => {
                  fails('next')
                  return new Promise(() => undefined)
                },
              }
            },
          }
        },
      }
      const { signal } = new AbortController()
      await expect(watchApplied({ watcher, signal, after: at(3) })).rejects.toMatchObject({
        code: 'PermissionDenied',
        cause: thrown,
        cursor: at(3),
      })
    },
  )

  test('is aborted when the loop ends by itself', async () => {
    const run = new WatchRun([[put('a', 2), put('b', 1)]])
    await run.failure()
    expect(run.watcher.seen[0]!.options.signal.aborted).toBe(true)
  })

  test('is not pulled while a batch is being applied', async () => {
    let release!: () => void
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const run = new WatchRun([[put('a', 1)], [put('b', 2)], [put('c', 3)]], {
      batch: { maxCount: 1 },
      apply: () => held,
    })
    await wait(50)
    expect(run.watcher.pulls).toBe(1)
    release()
    await run.until(() => run.positions.at(-1) === 3n)
    await run.abort()
  })

  test('an abort before it begins resolves without watching', async () => {
    const stop = new AbortController()
    stop.abort()
    const watcher = new ScriptedWatcher([put('a', 1)])
    expect(await watchApplied({ watcher, after: at(4), signal: stop.signal })).toEqual(at(4))
    expect(watcher.seen).toEqual([])
  })

  test('an abort ends it also when the source does not listen', async () => {
    const deaf = new ScriptedWatcher(() => new Promise<void>(() => undefined))
    const stop = new AbortController()
    const result = watchApplied({ watcher: deaf, signal: stop.signal })
    await wait(20)
    stop.abort()
    expect((await result).isNone).toBe(true)
  })

  test('refuses limits that cannot be meant', async () => {
    const { signal } = new AbortController()
    const watcher = new ScriptedWatcher()
    await expect(watchApplied({ watcher, signal, batch: { maxCount: 0 } })).rejects.toThrow(RangeError)
    await expect(watchApplied({ watcher, signal, retryBudgetMs: -1 })).rejects.toThrow(RangeError)
    await expect(watchApplied({ watcher, signal, scope: { prefixes: [] } })).rejects.toThrow(TypeError)
  })
})

test('apply is told initial until everything that existed is applied, then live; a resumed watch is live', async () => {
  const run = new WatchRun([[put('a', 1)], { caughtUp: true }, [put('b', 2)]])
  await run.until(() => run.phases.length === 2)
  expect(run.phases).toEqual(['initial', 'live'])
  await run.abort()
  const resumed = new WatchRun([[put('a', 3)]], { after: at(2) })
  await resumed.until(() => resumed.phases.length === 1)
  expect(resumed.phases).toEqual(['live'])
  await resumed.abort()
})

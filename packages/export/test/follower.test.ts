import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { exportSnapshot, importSnapshot } from '@slip/export'
import { follow, type Follower, type SnapshotLocation, type SnapshotStore } from '@slip/kv-core'
import { MemoryConnection, memoryBucket } from '@slip/memory'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { filled } from './folds.ts'
import { plain, scratch, seededRandom } from './scratch.ts'

const places: readonly (readonly [string, (path: string) => SnapshotLocation])[] = [
  ['a log', (path) => appendLog({ path })],
  ['LMDB', (path) => lmdb({ path, durability: 'os' })],
]

for (const [what, locate] of places)
  test(`a follower over ${what} is exported under churn: each artifact is the bucket at its cursor, and a node that starts from it gets the rest`, async () => {
    const random = seededRandom(`churn over ${what}`)
    const directory = await scratch()
    const connection = new MemoryConnection()
    const bucket = await connection.store('routes', {})
    /** What was written, by revision. */
    const history: { readonly key: string; readonly value: string | undefined }[] = []
    const write = async (): Promise<void> => {
      const key = `key-${random(200)}`
      const gone = random(5) === 0
      const value = gone ? undefined : `${history.length}-${'x'.repeat(random(2_000))}`
      const version =
        value === undefined ? await bucket.writer.delete(key) : await bucket.writer.put(key, value)
      history[Number(version.revision)] = { key, value }
    }
    const stateAt = (revision: number): ReadonlyMap<string, string> => {
      const state = new Map<string, string>()
      for (const each of history.slice(0, revision + 1))
        if (each?.value === undefined) state.delete(each?.key ?? '')
        else state.set(each.key, each.value)
      return state
    }
    for (let i = 0; i < 500; i++) await write()
    const source = memoryBucket(connection, 'routes')
    const follower = await follow({ source, store: locate(join(directory, 'live')) })
    await follower.caughtUp()
    const stopped = new AbortController()
    const churn = (async () => {
      while (!stopped.signal.aborted) {
        await write()
        if (random(20) === 0) await delay(1)
      }
    })()
    const cursors: number[] = []
    for (let round = 0; round < 4; round++) {
      const before = follower.status.appliedCursor.revision!
      const artifact = join(directory, `artifact-${round}`)
      const made = await exportSnapshot(follower, artifact, round === 3 ? { interchange: 2 } : {})
      expect(made.cursor.revision! >= before).toBe(true)
      cursors.push(Number(made.cursor.revision))
      const location = appendLog({ path: join(directory, `copy-${round}`) })
      await importSnapshot(artifact, location)
      const copy = await location.open()
      const found = new Map([...copy.entries()].map(({ key, value }) => [key, Buffer.from(value).toString()]))
      expect(found).toEqual(new Map(stateAt(Number(made.cursor.revision))))
      await copy.close()
    }
    stopped.abort()
    await churn
    expect(new Set(cursors).size).toBe(cursors.length)
    const last = BigInt(history.length - 1)
    await follower.waitFor(last)
    const second = await follow({ source, store: appendLog({ path: join(directory, 'copy-2') }) })
    await second.waitFor(last)
    expect(plain(second)).toEqual(plain(follower))
    const tail = new Set(history.slice(cursors[2]! + 1).map((each) => each.key))
    expect(second.status.delivered).toBe(tail.size)
    await second.close()
    await follower.close()
  })

test('applies wait only until the copy is pinned, and go on when it fails before', async () => {
  const store = await filled(appendLog({ path: join(await scratch(), 'source') }))
  let finish: () => void = () => undefined
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const steps: string[] = []
  const slow = Object.assign(Object.create(store) as SnapshotStore, {
    payload: store.payload!,
    copyTo: async (to: string, options: { readonly onPinned?: () => void } = {}) => {
      const copied = await store.copyTo!(to)
      steps.push('pinned')
      options.onPinned?.()
      await finished
      steps.push('copied')
      return copied
    },
  })
  const following = (fold: object): Follower =>
    ({
      exclusive: async (fn: (held: unknown) => Promise<unknown>) => {
        const result = await fn(fold)
        steps.push('released')
        finish()
        return result
      },
    }) as unknown as Follower
  await exportSnapshot(following(slow), join(await scratch(), 'artifact'))
  expect(steps).toEqual(['pinned', 'released', 'copied'])
  steps.length = 0
  const failing = { ...slow, payload: store.payload, copyTo: async () => Promise.reject(new Error('no')) }
  await expect(exportSnapshot(following(failing), join(await scratch(), 'other'))).rejects.toThrow('no')
  expect(steps).toEqual(['released'])
  await store.close()
})

test('a follower that was closed is not exported', async () => {
  const connection = new MemoryConnection()
  await connection.store('routes', {})
  const directory = await scratch()
  const follower = await follow({
    source: memoryBucket(connection, 'routes'),
    store: appendLog({ path: join(directory, 'live') }),
  })
  await follower.close()
  await expect(exportSnapshot(follower, join(directory, 'artifact'))).rejects.toMatchObject({
    code: 'Closed',
  })
})

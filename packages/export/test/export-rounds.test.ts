import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  directoryObjects,
  downloadArtifact,
  ExportLease,
  ExportRounds,
  type ExportRoundsOptions,
  type RoundPlace,
  type RoundReport,
} from '@slip/export'
import { follow, KvError, type Follower, type KvStore, type ObjectStore } from '@slip/kv-core'
import { MemoryConnection, memoryBucket } from '@slip/memory'
import { appendLog } from '@slip/store-applog'
import { afterEach, expect, test, vi } from 'vitest'
import { namesIn, overStore } from './remote.ts'
import { scratch, seededRandom } from './scratch.ts'
import { VirtualTime } from './virtual-time.ts'

const EVERY_MS = 60_000
const HOUR_MS = 3_600_000
const random = seededRandom('rounds')
const running: AsyncDisposable[] = []

afterEach(async () => {
  for (const each of running.splice(0)) await each[Symbol.asyncDispose]()
})

interface Node {
  readonly follower: Follower
  readonly rounds: ExportRounds
  readonly reports: RoundReport[]
  readonly scratchDirectory: string
}

interface NodeOptions extends Partial<ExportRoundsOptions> {
  readonly skewMs?: number
  readonly place?: Partial<RoundPlace>
}

/** A bucket whose nodes publish to one directory, in one time. */
async function fleet(): Promise<{
  readonly time: VirtualTime
  readonly bucket: KvStore
  readonly leases: KvStore
  readonly to: ObjectStore
  readonly node: (options?: NodeOptions) => Promise<Node>
}> {
  const time = new VirtualTime(random)
  const connection = new MemoryConnection()
  const bucket = await connection.store('routes', {})
  const leases = await connection.store('leases', {})
  const to = directoryObjects(await scratch())
  let nodes = 0
  const node = async ({ skewMs = 0, place = {}, ...options }: NodeOptions = {}): Promise<Node> => {
    const store = appendLog({ path: join(await scratch(), 'fold') })
    const follower = await follow({ source: memoryBucket(connection, 'routes'), store })
    await follower.caughtUp()
    const scratchDirectory = await scratch()
    const reports: RoundReport[] = []
    const rounds = ExportRounds.start(follower, {
      name: 'routes',
      everyMs: EVERY_MS,
      lease: { key: 'routes', holderId: `node-${++nodes}` },
      open: async () => ({
        bucket: leases,
        to,
        source: async () => bucket.watcher.describe('all'),
        ...place,
      }),
      onRound: (report) => reports.push(report),
      scratchDirectory,
      clock: time.clock(skewMs),
      ...options,
    })
    running.push(rounds, follower)
    return { follower, rounds, reports, scratchDirectory }
  }
  return { time, bucket, leases, to, node }
}

async function published(to: ObjectStore): Promise<bigint | undefined> {
  return (await downloadArtifact(to, 'routes', join(await scratch(), 'artifact')))?.cursor.revision
}

test(
  'a fleet whose clocks differ by hours makes one artifact a round, and none twice',
  { timeout: 300_000 },
  async () => {
    const { time, bucket, to, node } = await fleet()
    const made: { readonly atMs: number; readonly revision: bigint }[] = []
    const nodes: Node[] = []
    const skews = [0, 0, 1_000, -1_000, 30_000, -30_000, HOUR_MS, -HOUR_MS, 5 * HOUR_MS, -5 * HOUR_MS]
    for (const skewMs of skews)
      nodes.push(
        await node({
          skewMs,
          onRound: (report) => {
            if (report.outcome === 'published')
              made.push({ atMs: time.nowMs, revision: report.cursor.revision! })
          },
        }),
      )
    const rounds = 30
    let written = 0
    while (time.nowMs < rounds * EVERY_MS) {
      // The one that is ahead of all others goes for good.
      if (time.nowMs > 10 * EVERY_MS && nodes.length === skews.length) {
        const [gone] = nodes.splice(skews.indexOf(Math.max(...skews)), 1)
        await gone!.rounds.close()
      }
      const { revision } = await bucket.writer!.put('route.key', `${++written}`)
      await Promise.all(nodes.map(({ follower }) => follower.waitFor(revision!)))
      await time.step(nodes.length)
    }
    // Who has seen nothing of the lease yet goes by the clocks: that is over when each node has looked twice.
    const settled = made.filter(({ atMs }) => atMs >= 2.5 * EVERY_MS)
    const gaps = settled.slice(1).map(({ atMs }, i) => atMs - settled[i]!.atMs)
    console.log(
      `rounds: ${made.length} artifacts of ${nodes.length} nodes in ${rounds} rounds, ${made.length - settled.length} in the first 2.5; ${Math.round(Math.min(...gaps))} to ${Math.round(Math.max(...gaps))} ms apart`,
    )
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(EVERY_MS)
    // Whose lease the others saw half a round late is replaced that much later.
    expect(Math.max(...gaps)).toBeLessThanOrEqual(1.75 * EVERY_MS)
    expect(made.length).toBeLessThanOrEqual(rounds + 4)
    const revisions = made.map(({ revision }) => revision)
    expect(revisions).toEqual([...revisions].sort((a, b) => Number(a - b)))
    expect(await published(to)).toBe(revisions.at(-1))
    for (const { rounds: each, scratchDirectory } of nodes) {
      expect(each.status).toMatchObject({ failed: 0, superseded: 0 })
      expect(await readdir(scratchDirectory)).toEqual([])
    }
  },
)

/** How far the clock of a node is from that of this machine, by which artifacts say when they were made. */
const ownTime = (time: VirtualTime): number => Date.now() - time.clock(0).unixMs()

test('a round of a fold that is as it was exports nothing, until what is published is ten rounds old', async () => {
  const { time, bucket, leases, to, node } = await fleet()
  const { follower, rounds, reports } = await node({ skewMs: ownTime(time) })
  const next = async (): Promise<RoundReport> => {
    const seen = reports.length
    while (reports.length === seen) await time.step(1)
    return reports.at(-1)!
  }
  const written = async (value: string): Promise<void> => {
    const { revision } = await bucket.writer!.put('route.key', value)
    await follower.waitFor(revision!)
  }
  await written('first')
  const first = await next()
  expect(first).toMatchObject({ outcome: 'published' })
  const objects = await namesIn(to)
  for (let i = 0; i < 2; i++) {
    const { payload, cursor } = first as Extract<RoundReport, { readonly payload: string }>
    expect(await next()).toMatchObject({ outcome: 'unchanged', cursor, payload, troubles: [] })
  }
  expect(await namesIn(to)).toEqual(objects)
  expect((await ExportLease.current(leases, 'routes'))?.completedCursor?.revision).toBe(1n)
  await written('second')
  expect(await next()).toMatchObject({ outcome: 'published' })
  expect(await next()).toMatchObject({ outcome: 'unchanged' })
  expect(await published(to)).toBe(2n)
  // A payload that was lost is made anew at once.
  const payload = (reports.at(-1) as { readonly payload: string }).payload
  await to.delete(payload)
  expect(await next()).toMatchObject({ outcome: 'published' })
  let last = await next()
  for (; last.outcome === 'unchanged'; last = await next()) expect(time.nowMs).toBeLessThan(12 * EVERY_MS)
  expect(time.nowMs).toBeGreaterThanOrEqual(10 * EVERY_MS)
  expect(last).toMatchObject({ outcome: 'published' })
  expect(rounds.status).toMatchObject({ published: 4, failed: 0, superseded: 0 })
  expect(rounds.status.unchanged).toBe(reports.length - 4)
})

test('the first artifact of a process is made although another one has published the same', async () => {
  const { time, node } = await fleet()
  const skewMs = ownTime(time)
  const former = await node({ skewMs })
  while (former.reports.at(-1)?.outcome !== 'unchanged') await time.step(1)
  await former.rounds.close()
  await former.follower.close()
  const later = await node({ skewMs, refreshMs: HOUR_MS })
  while (later.reports.at(-1)?.outcome !== 'unchanged') await time.step(1)
  const outcomes = later.reports.map(({ outcome }) => outcome).filter((outcome) => outcome !== 'held')
  expect(outcomes).toEqual(['published', 'unchanged'])
})

test('the lease of a node that is gone, an hour ahead of everybody, is taken over when its time is over', async () => {
  const { time, leases, node } = await fleet()
  const ahead = await ExportLease.tryAcquire(leases, 'routes', {
    holderId: 'gone',
    ttlMs: EVERY_MS,
    now: () => 1_800_000_000_000 + HOUR_MS,
  })
  expect(ahead).toBeDefined()
  const { reports } = await node()
  while (reports.at(-1)?.outcome !== 'published') await time.step(1)
  expect(reports[0]).toMatchObject({ outcome: 'held', holderId: 'gone' })
  expect(time.nowMs).toBeGreaterThanOrEqual(EVERY_MS)
  expect(time.nowMs).toBeLessThan(2 * EVERY_MS)
})

test('a round that fails is tried again later each time, with the lease given back and nothing left', async () => {
  const { time, bucket, leases, to, node } = await fleet()
  let isBroken = true
  const broken = overStore(to, {
    put: async (name, body, options) => {
      if (isBroken) throw new KvError('Unreachable', 'gone')
      return to.put(name, body, options)
    },
  })
  const { rounds, reports, scratchDirectory, follower } = await node({ place: { to: broken } })
  while (reports.length < 9) await time.step(1)
  const waits = reports.map((report) => (report.outcome === 'failed' ? report.retryInMs : 0))
  for (const [i, wait] of waits.entries()) {
    const full = Math.min(1_000 * 2 ** i, EVERY_MS)
    expect(wait).toBeGreaterThanOrEqual(full / 2)
    expect(wait).toBeLessThanOrEqual(full)
  }
  expect(reports[0]).toMatchObject({ outcome: 'failed', error: { code: 'Unreachable' } })
  expect(await ExportLease.current(leases, 'routes')).toBeUndefined()
  expect(await readdir(scratchDirectory)).toEqual([])
  expect(follower.status.state).toBe('live')
  isBroken = false
  while (reports.length < 10) await time.step(1)
  isBroken = true
  const { revision } = await bucket.writer!.put('new', new Uint8Array(1))
  await follower.waitFor(revision!)
  while (reports.length < 11) await time.step(1)
  expect(reports[9]).toMatchObject({ outcome: 'published', troubles: [] })
  expect((reports[10] as { retryInMs: number }).retryInMs).toBeLessThanOrEqual(1_000)
  expect(rounds.status).toMatchObject({ published: 1, failed: 10, held: 0, last: { outcome: 'failed' } })
})

test('a place that cannot be opened is a round that failed, and what was opened is closed again', async () => {
  const { time, bucket, leases, to, node } = await fleet()
  let opened = 0
  let closed = 0
  const { reports } = await node({
    open: async () => {
      if (opened++ === 0) throw new KvError('Unauthorized', 'who are you')
      return {
        bucket: leases,
        to,
        source: async () => bucket.watcher!.describe('all'),
        close: async () => {
          closed++
          throw new Error('closing failed')
        },
      }
    },
  })
  while (reports.length < 2) await time.step(1)
  expect(reports[0]).toMatchObject({ outcome: 'failed', error: { code: 'Unauthorized' } })
  expect(reports[1]).toMatchObject({ outcome: 'published', troubles: [{ step: 'close' }] })
  expect([opened, closed]).toEqual([2, 1])
})

/** A store whose uploads hang until they are aborted, or let go. */
function stalling(to: ObjectStore): {
  readonly store: ObjectStore
  readonly begun: Promise<void>
  readonly release: () => void
} {
  let arrived = (): void => undefined
  let release = (): void => undefined
  const begun = new Promise<void>((resolve) => (arrived = resolve))
  const released = new Promise<void>((resolve) => (release = resolve))
  const store = overStore(to, {
    put: async (name, body, options = {}) => {
      if (!name.startsWith('routes.payloads/') || (options.condition ?? '') !== 'absent')
        return to.put(name, body, options)
      arrived()
      await new Promise<void>((resolve, reject) => {
        void released.then(resolve)
        options.signal?.addEventListener('abort', () => reject(options.signal!.reason as Error))
      })
      return to.put(name, body, options)
    },
  })
  return { store, begun, release: () => release() }
}

test('a round that takes long does not keep the follower from applying, and no other one begins meanwhile', async () => {
  const { time, bucket, to, node } = await fleet()
  const slow = stalling(to)
  const { follower, rounds, reports } = await node({ place: { to: slow.store } })
  const before = await bucket.writer!.put('route.key', 'before')
  await follower.waitFor(before.revision!)
  await time.wake(1)
  await slow.begun
  expect(rounds.status.state).toBe('running')
  time.nowMs += 5 * EVERY_MS
  for (let i = 0; i < 50; i++) {
    const { revision } = await bucket.writer!.put(`route.${i}`, 'meanwhile')
    await follower.waitFor(revision!)
  }
  expect(follower.status.state).toBe('live')
  expect(reports).toEqual([])
  slow.release()
  await vi.waitFor(() => expect(reports).toHaveLength(1), { timeout: 30_000 })
  expect(reports[0]).toMatchObject({ outcome: 'published', tookMs: expect.closeTo(5 * EVERY_MS) })
  expect(await published(to)).toBe(before.revision)
})

test.each(['schedule', 'signal', 'follower'] as const)(
  'an end by the %s in the middle of a round leaves no lease, no file and no pointer',
  async (how) => {
    const { time, leases, to, node } = await fleet()
    const stop = new AbortController()
    const slow = stalling(to)
    const { rounds, follower, reports, scratchDirectory } = await node({
      place: { to: slow.store },
      signal: stop.signal,
    })
    await time.wake(1)
    await slow.begun
    expect(await ExportLease.current(leases, 'routes')).toMatchObject({ holderId: 'node-1' })
    if (how === 'follower') await follower.close()
    if (how === 'signal') stop.abort(new Error('enough'))
    await rounds.close()
    expect(rounds.status).toEqual({
      state: 'closed',
      published: 0,
      unchanged: 0,
      superseded: 0,
      held: 0,
      failed: 0,
    })
    expect(reports).toEqual([])
    expect(await ExportLease.current(leases, 'routes')).toBeUndefined()
    expect(await readdir(scratchDirectory)).toEqual([])
    expect((await namesIn(to)).filter((name) => !name.includes('slip'))).toEqual([])
    if (how !== 'follower') expect(follower.status.state).toBe('live')
    await rounds.close()
  },
)

test('no round begins while the follower is not in step, and they end with it', async () => {
  const time = new VirtualTime(random)
  const connection = new MemoryConnection()
  await connection.store('routes', {})
  let isAway = true
  const source = memoryBucket(connection, 'routes')
  const follower = await follow({
    source: async (options) => {
      if (isAway) throw new KvError('Unreachable', 'away')
      return source(options)
    },
    store: appendLog({ path: join(await scratch(), 'fold') }),
  })
  const leases = await connection.store('leases', {})
  let opened = 0
  const rounds = ExportRounds.start(follower, {
    name: 'routes',
    everyMs: EVERY_MS,
    lease: { key: 'routes', holderId: 'node' },
    open: async () => {
      opened++
      return { bucket: leases, to: directoryObjects(await scratch()) }
    },
    clock: time.clock(0),
  })
  await time.wake(1)
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect([opened, rounds.status.state]).toEqual([0, 'waiting'])
  isAway = false
  await vi.waitFor(() => expect(rounds.status.published).toBe(1), { timeout: 30_000 })
  await follower.close()
  await vi.waitFor(() => expect(rounds.status.state).toBe('closed'), { timeout: 30_000 })
  expect(opened).toBe(1)
})

test('a time that cannot be waited for is a RangeError', async () => {
  const { node } = await fleet()
  for (const everyMs of [0, -1, Number.NaN, Infinity, 2 ** 31])
    await expect(node({ everyMs })).rejects.toThrow(RangeError)
})

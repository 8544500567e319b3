import { join } from 'node:path'
import { AppendLogSnapshot } from '@slip/store-applog'
import { LmdbSnapshot } from '@slip/store-lmdb'
import { describe, expect, test } from 'vitest'
import { RealServer, skip } from './real-server.ts'
import { ERROR_LINE, temporaryDirectory, type Line } from './slip.ts'

/** Another writer of each kind of fold. */
const WRITERS = {
  log: async (path: string) => AppendLogSnapshot.open({ path }),
  lmdb: async (path: string) => LmdbSnapshot.open({ path }),
} as const

const isOpening = ({ state }: Line): boolean => state === 'opening'

describe.skipIf(skip).concurrent('options of follow that reach the fold', { timeout: 120_000 }, () => {
  const server = new RealServer()

  test.each(['log', 'lmdb'] as const)(
    '--wait-lock on %s: waits until the other writer lets go, and is exit 5 when it does not',
    async (kind) => {
      await server.write('held', { a: '1' })
      const path = join(temporaryDirectory(), 'fold')
      const fold = `${kind}:${path}`
      const writer = await WRITERS[kind](path)
      const once = ['--once', '--wait-lock']
      const short = await server.run(['follow', 'held', '--fold', fold, ...once, '2500ms'])
      expect([short.code, short.stderr]).toEqual([5, expect.stringMatching(ERROR_LINE)])
      expect(short.stderr).toContain(String(process.pid))
      // A line for each second that it waited.
      expect(short.lines.filter(isOpening)).not.toEqual([])
      const waiting = server.following('held', fold, ...once, '60s')
      await waiting.seen(isOpening)
      await writer.close()
      expect([(await waiting.closed)[0], waiting.stderr()]).toEqual([0, ''])
      expect(waiting.lines().at(-1)).toMatchObject({ done: true, entries: 1 })
    },
  )

  test.each([
    ['log', [], false],
    ['log', ['--durability', 'os'], false],
    ['log', ['--durability', 'interval'], true],
    ['log', ['--durability', 'batch'], true],
    ['lmdb', [], true],
    ['lmdb', ['--durability', 'os'], false],
  ] as const)('what is written to %s with %j is synced while it follows: %s', async (kind, flags, synced) => {
    const bucket = `synced-${kind}-${flags[1] ?? 'default'}`
    const writer = await server.write(bucket, { a: '1' })
    const follower = server.following(bucket, `${kind}:${join(temporaryDirectory(), 'fold')}`, ...flags)
    await follower.seen(({ state, entries }) => state === 'live' && entries === 1)
    await writer.put('b', '2')
    await follower.seen(
      ({ revision, durableRevision }) => revision === 2 && (!synced || durableRevision === 2),
    )
    const before = follower.lines().length
    // More than the second in which it would be synced at an interval.
    await follower.seen(() => follower.lines().length > before + 2)
    const since = follower.lines().filter(({ revision }) => revision === 2)
    expect(since.some(({ durableRevision }) => durableRevision === 2)).toBe(synced)
    follower.child.kill('SIGTERM')
    expect((await follower.closed)[0]).toBe(0)
    expect(follower.lines().at(-1)).toMatchObject({ revision: 2, durableRevision: 2 })
  })
})

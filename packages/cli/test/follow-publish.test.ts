import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RealServer, skip } from './real-server.ts'
import { temporaryDirectory, type Line } from './slip.ts'

interface Rounds {
  readonly state: string
  readonly published: number
  readonly unchanged: number
  readonly held: number
  readonly failed: number
  readonly last: Line | null
}

const NONE: Rounds = { state: 'waiting', published: 0, unchanged: 0, held: 0, failed: 0, last: null }
/** While the fold is being opened there are none. */
const roundsOf = (line: Line): Rounds => (line['rounds'] as Rounds | undefined) ?? NONE

describe.skipIf(skip).concurrent('follow --publish on a real server', { timeout: 300_000 }, () => {
  const server = new RealServer()

  function publishing(bucket: string, directory: string, ...flags: string[]) {
    const follower = server.following(bucket, `log:${join(directory, 'fold')}`, '--every', '2s', ...flags)
    const seen = async (wanted: (rounds: Rounds, line: Line) => boolean): Promise<void> =>
      await follower.seen((line) => wanted(roundsOf(line), line))
    return { ...follower, seen }
  }

  test.each(['nats:copies', 'file'])(
    'copies are published in rounds to %s, and others start from one',
    async (to) => {
      const bucket = `routes-${to.length}`
      await server.write(bucket, { a: 'one', b: 'two' })
      const there = temporaryDirectory()
      const directory = join(there, 'node')
      await mkdir(directory)
      const url = to === 'file' ? `file:${join(there, 'objects')}` : to
      const follower = publishing(bucket, directory, '--publish', url)
      await follower.seen(({ last }) => last?.['revision'] === 2 && last['outcome'] === 'published')
      await server.write(bucket, { c: 'three' })
      await follower.seen(({ last }) => last?.['revision'] === 3 && last['outcome'] === 'unchanged')
      const lease = await server.run(['lease', 'slip_leases', '--name', bucket])
      expect(lease.lines[0]).toMatchObject({ holderId: expect.stringMatching(/\/\d+-[0-9a-f]{8}$/) })
      follower.child.kill('SIGTERM')
      expect((await follower.closed)[0]).toBe(0)
      expect(follower.stderr()).toBe('')
      const done = follower.lines().at(-1)!
      expect(done).toMatchObject({ done: true, reason: 'signal', state: 'closed' })
      expect(done['rounds']).toMatchObject({ state: 'closed', failed: 0, held: 0, superseded: 0 })
      expect(follower.lines().map((line) => roundsOf(line).last)).toContainEqual({
        outcome: 'published',
        time: expect.stringMatching(/Z$/),
        seconds: expect.any(Number),
        cursor: '0000000000000002',
        revision: 2,
        payload: expect.stringMatching(/\.payloads\/0000000000000002-/),
        bytes: expect.any(Number),
        sent: expect.any(Number),
      })
      expect(follower.lines().map((line) => roundsOf(line).last)).toContainEqual({
        outcome: 'unchanged',
        time: expect.stringMatching(/Z$/),
        seconds: expect.any(Number),
        cursor: '0000000000000003',
        revision: 3,
        payload: expect.stringMatching(/\.payloads\/0000000000000003-/),
      })
      const { published, unchanged } = done['rounds'] as Rounds
      expect(published).toBeGreaterThanOrEqual(2)
      expect(unchanged).toBeGreaterThanOrEqual(1)
      expect((await readdir(directory)).filter((name) => name.includes('slip-'))).toEqual([])
      const copy = `log:${join(there, 'copy')}`
      expect((await server.run(['bootstrap', url, copy, '--name', bucket])).lines[0]).toMatchObject({
        entries: 3,
      })
      expect((await server.run(['diff', copy, bucket])).code).toBe(0)
    },
  )

  test('a part of a bucket is published under a name of its own, with its lease in a bucket of its own', async () => {
    await server.write('parts', { 'eu.a': 'one', 'us.b': 'two' })
    const there = temporaryDirectory()
    const url = `file:${join(there, 'objects')}`
    const how = ['--prefix', 'eu.', '--name', 'parts/eu', '--lease', 'rounds', '--publish', url]
    const follower = publishing('parts', there, ...how)
    await follower.seen(({ published }) => published >= 1)
    expect((await server.run(['lease', 'rounds', '--name', 'parts/eu'])).lines[0]).toHaveProperty('holderId')
    follower.child.kill('SIGTERM')
    await follower.closed
    const started = `log:${join(there, 'started')}`
    const from = ['--prefix', 'eu.', '--from', url, '--name', 'parts/eu', '--once']
    const again = await server.run(['follow', 'parts', '--fold', started, ...from])
    expect(again.lines.at(-1)).toMatchObject({ done: true, entries: 1, delivered: 0 })
  })

  test('what cannot be published is told, and the fold is followed', async () => {
    await server.write('unpublished', { a: 'one' })
    const there = temporaryDirectory()
    await writeFile(join(there, 'objects'), 'a file')
    const follower = publishing('unpublished', there, '--publish', `file:${join(there, 'objects')}`)
    await follower.seen(({ failed }) => failed >= 2)
    await server.write('unpublished', { b: 'two' })
    await follower.seen((_, { state, revision }) => state === 'live' && revision === 2)
    follower.child.kill('SIGTERM')
    expect((await follower.closed)[0]).toBe(0)
    expect(roundsOf(follower.lines().at(-1)!)).toMatchObject({
      published: 0,
      last: { outcome: 'failed', error: { code: 'Io' } },
    })
    expect(follower.stderr()).toMatch(/^slip: nothing is published, and it is tried again: .+ \(Io\)\. .+\n$/)
  })
})

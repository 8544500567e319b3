import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FollowProcess, slip } from '@slip/acceptance'
import { natsServerOrSkip, startNatsServer } from '@slip/nats-server'
import { expect, test } from 'vitest'

const { skip } = await natsServerOrSkip('2.12')

test.skipIf(skip)(
  'a second follower on the same fold exits with 5 and names the holder; after kill -9 of the holder it starts at once',
  { timeout: 60_000 },
  async () => {
    await using server = await startNatsServer({ version: '2.12' })
    const directory = await mkdtemp(join(tmpdir(), 'slip-acceptance-'))
    try {
      const args = ['held', '--fold', `log:${join(directory, 'held.slip')}`, '--server', server.url]
      expect((await slip(['bucket', 'create', 'held', '--server', server.url])).code).toBe(0)
      expect((await slip(['put', 'held', 'a', '1', '--server', server.url])).code).toBe(0)
      const holder = FollowProcess.start(args)
      await holder.until((line) => line['state'] === 'live')

      const second = await slip(['follow', ...args, '--once'])
      expect(second.code).toBe(5)
      expect(second.stderr).toContain(String(holder.pid))
      expect(second.lines.at(-1)).toMatchObject({ error: { code: 'Busy' } })
      expect((await slip(['get', args[2]!, 'a'])).lines[0]).toMatchObject({ key: 'a' })

      await holder.kill()
      const next = await slip(['follow', ...args, '--once'])
      expect(next.code, next.stderr).toBe(0)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  },
)

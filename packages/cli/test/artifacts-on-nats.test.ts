import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RealServer, skip } from './real-server.ts'
import { temporaryDirectory } from './slip.ts'

describe.skipIf(skip)('on a real server', () => {
  const server = new RealServer()

  test(
    'a fold is published to an object bucket, and others start from it',
    { timeout: 120_000 },
    async () => {
      const there = temporaryDirectory()
      const [fold, copy, started, again] = ['fold', 'copy', 'started', 'again'].map(
        (name) => `log:${join(there, name)}`,
      )
      const keep = ['--keep-artifact', join(there, 'kept')]
      const results = []
      for (const args of [
        ['bucket', 'create', 'routes'],
        ['put', 'routes', 'a', 'one'],
        ['put', 'routes', 'b', 'two'],
        ['bootstrap', 'nats:copies', copy!],
        ['follow', 'routes', '--fold', fold!, '--once'],
        ['publish', fold!, 'nats:copies'],
        ['put', 'routes', 'c', 'three'],
        ['bootstrap', 'nats:copies', copy!],
        ['follow', 'routes', '--fold', started!, '--from', 'nats:copies', '--once', ...keep],
        ['diff', started!, 'routes'],
        ['follow', 'routes', '--fold', again!, '--from', 'nats:copies', '--once', ...keep],
        ['verify', join(there, 'kept/previous')],
      ])
        results.push(await server.run(args))
      expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
      expect(results[5]!.lines[0]).toMatchObject({ outcome: 'published', pointer: 'routes.manifest.json' })
      expect(results[7]!.lines[0]).toMatchObject({ entries: 2, revision: 2 })
      for (const at of [8, 10])
        expect(results[at]!.lines.at(-1)).toMatchObject({ done: true, entries: 3, delivered: 1 })
      expect(results[11]!.lines).toMatchObject([{ verdict: 'intact', entries: 2 }])
    },
  )

  test('a lease is free, held, or was held, and says so', { timeout: 60_000 }, async () => {
    const now = Math.floor(Date.now() / 1_000)
    const record = (expires: number): string =>
      JSON.stringify({ holder_id: 'node-1', acquired_at_unix: now - 10, expires_at_unix: expires })
    const results = []
    for (const args of [
      ['bucket', 'create', 'leases'],
      ['lease', 'leases', '--name', 'routes'],
      ['put', 'leases', 'routes', record(now + 600)],
      ['lease', 'leases', '--name', 'routes'],
      ['put', 'leases', 'routes', record(now - 1)],
      ['lease', 'leases', '--name', 'routes'],
      ['lease', 'leases'],
      ['lease', 'nothing', '--name', 'routes'],
    ])
      results.push(await server.run(args))
    expect(results.map(({ code }) => code)).toEqual([0, 1, 0, 0, 0, 1, 2, 3])
    expect(results[1]!.lines).toEqual([{ held: false }])
    const acquiredAt = new Date((now - 10) * 1_000).toISOString()
    expect(results[3]!.lines).toEqual([
      { held: true, holderId: 'node-1', acquiredAt, expiresAt: new Date((now + 600) * 1_000).toISOString() },
    ])
    expect(results[5]!.lines[0]).toMatchObject({ held: false, holderId: 'node-1' })
  })
})

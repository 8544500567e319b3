import { join } from 'node:path'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { metricsText, readMetrics, type Metric } from '../src/metrics/exposition.ts'
import { rowOf, tableText } from '../src/top/followers-table.ts'
import { RealServer, skip } from './real-server.ts'
import { slip, start, temporaryDirectory } from './slip.ts'

describe('the text that Prometheus reads', () => {
  const metrics: readonly Metric[] = [
    { name: 'a_total', help: 'Counted.', type: 'counter', samples: [{ value: 3 }] },
    {
      name: 'b',
      help: 'Named.',
      type: 'gauge',
      samples: [{ labels: { path: 'a\\n"b"\nc', x: '' }, value: 18_446_744_073_709_551_615n }],
    },
    { name: 'c', help: 'Not known.', type: 'gauge', samples: [] },
  ]

  test('has a family for each metric that has samples, labels escaped, and every digit', () => {
    expect(metricsText(metrics)).toBe(
      [
        '# HELP a_total Counted.',
        '# TYPE a_total counter',
        'a_total 3',
        '# HELP b Named.',
        '# TYPE b gauge',
        'b{path="a\\\\n\\"b\\"\\nc",x=""} 18446744073709551615',
        '',
      ].join('\n'),
    )
  })

  test('is read back as it was written', () => {
    const read = readMetrics(metricsText(metrics))
    expect([...read.keys()]).toEqual(['a_total', 'b'])
    expect(read.get('a_total')).toEqual([{ labels: {}, value: 3 }])
    expect(read.get('b')?.[0]?.labels).toEqual({ path: 'a\\n"b"\nc', x: '' })
  })
})

describe('the table', () => {
  const look = { url: 'http://h:1/metrics', atMs: 10_000, state: 'live', bucket: 'routes' } as const

  test('shows how fast a follower is, and nothing of one that began anew', () => {
    const before = { ...look, atMs: 8_000, applied: 100, deliveredBytes: 4_000 }
    expect(rowOf({ ...look, applied: 300, deliveredBytes: 10_000, contactMs: 9_500 }, before)).toMatchObject({
      updatesPerSecond: 100,
      bytesPerSecond: 3_000,
      contactSeconds: 0.5,
    })
    expect(rowOf({ ...look, applied: 50 }, before).updatesPerSecond).toBeUndefined()
    expect(rowOf({ ...look, applied: 50 }, undefined).updatesPerSecond).toBeUndefined()
  })

  test('is as wide as the terminal, and prints nothing that a terminal acts on', () => {
    const row = rowOf({ ...look, bucket: 'a\u001B[2Jb', revision: 1_234_567, lag: 0 }, undefined)
    const text = tableText([row])
    expect(text).toMatch(/^BUCKET +STATE +REVISION/)
    expect(text).toContain('1,234,567')
    expect(text).not.toContain('\u001B')
    expect(
      tableText([row], 20)
        .split('\n')
        .every((line) => line.length <= 20),
    ).toBe(true)
  })
})

describe.skipIf(skip)('follow --metrics and top', { timeout: 120_000 }, () => {
  const server = new RealServer()

  /** Where nobody listens. */
  async function nobody(): Promise<string> {
    const listener = createServer().listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const { port } = listener.address() as AddressInfo
    listener.close()
    await once(listener, 'close')
    return `127.0.0.1:${port}`
  }

  async function followed(bucket: string, ...flags: string[]) {
    const fold = `log:${join(temporaryDirectory(), 'fold')}`
    const follower = server.following(bucket, fold, '--metrics', '127.0.0.1:0', ...flags)
    onTestFinished(() => void follower.child.kill('SIGKILL'))
    await expect.poll(() => follower.stderr(), { timeout: 55_000 }).toMatch(/metrics at \S+/)
    return { ...follower, fold, url: /metrics at (\S+)/.exec(follower.stderr())![1]! }
  }

  test('the status is served until the follower ends, with its last states', async () => {
    await server.write('served', { a: 'one', b: 'two' })
    const { url, fold, child, closed, ...follower } = await followed('served')
    await follower.seen(({ state, verifiedThrough }) => state === 'live' && verifiedThrough === 2)
    const response = await fetch(url)
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ])
    const metrics = readMetrics(await response.text())
    const value = (name: string): unknown => metrics.get(name)?.[0]?.value
    expect(metrics.get('slip_follow_info')?.[0]?.labels).toMatchObject({ bucket: 'served', fold })
    expect(metrics.get('slip_follow_state')?.filter((each) => each.value === 1)).toEqual([
      { labels: { state: 'live' }, value: 1 },
    ])
    expect(value('slip_follow_revision')).toBe(2)
    expect(value('slip_follow_lag_revisions')).toBe(0)
    expect(value('slip_follow_entries')).toBe(2)
    expect(value('slip_follow_delivered_total')).toBe(2)
    expect(value('slip_follow_delivered_bytes_total')).toBe(8)
    expect(value('slip_follow_sessions_total')).toBe(1)
    expect(value('slip_follow_verified_revision')).toBe(2)
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(1e6)
    expect(
      Math.abs(Number(value('slip_follow_last_contact_timestamp_seconds')) - Date.now() / 1_000),
    ).toBeLessThan(60)
    expect(metrics.has('slip_follow_rounds_total')).toBe(false)
    const health = await fetch(new URL('/healthz', url))
    expect([health.status, await health.json()]).toEqual([200, { state: 'live' }])
    expect((await fetch(new URL('/other', url))).status).toBe(404)
    expect((await fetch(url, { method: 'POST' })).status).toBe(405)
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(200)

    const looked = await slip(['top', '--metrics', url, '--once', '--json'])
    expect([looked.code, looked.lines]).toEqual([
      0,
      [
        expect.objectContaining({
          url,
          state: 'live',
          bucket: 'served',
          revision: 2,
          lag: 0,
          entries: 2,
          applied: 2,
        }),
      ],
    ])
    child.kill('SIGTERM')
    expect((await closed)[0]).toBe(0)
    await expect(fetch(url)).rejects.toThrow('fetch failed')
  })

  test('a follower that is not live is not healthy', async () => {
    const bare = server.following(
      'served',
      `log:${join(temporaryDirectory(), 'fold')}`,
      '--metrics',
      '127.0.0.1:0',
      '--server',
      'nats://127.0.0.1:1',
    )
    onTestFinished(() => void bare.child.kill('SIGKILL'))
    await expect.poll(() => bare.stderr(), { timeout: 55_000 }).toMatch(/metrics at \S+/)
    const url = /metrics at (\S+)/.exec(bare.stderr())![1]!
    await bare.seen(({ state }) => state === 'connecting')
    const health = await fetch(new URL('/healthz', url))
    expect([health.status, await health.json()]).toMatchObject([503, { state: 'connecting' }])
    const looked = await slip(['top', url.replace('http://', ''), '--once', '--json'])
    expect([looked.code, looked.lines[0]?.['state']]).toEqual([1, 'connecting'])
  })

  test('an address that is taken is exit 2', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    onTestFinished(() => void taken.close())
    const { port } = taken.address() as AddressInfo
    const fold = `log:${join(temporaryDirectory(), 'fold')}`
    const refused = await server.run(['follow', 'served', '--fold', fold, '--metrics', `127.0.0.1:${port}`])
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('EADDRINUSE')])
  })

  test('top goes on, with one that cannot be reached beside one that can, and ends in order', async () => {
    await server.write('topped', { a: 'one' })
    const { url } = await followed('topped')
    const away = await nobody()
    const child = start(['top', '--metrics', url, '--metrics', away, '--every', '100ms', '--json'])
    onTestFinished(() => void child.kill('SIGKILL'))
    let text = ''
    child.stdout!.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await expect.poll(() => text.split('\n').length, { timeout: 55_000 }).toBeGreaterThan(8)
    child.kill('SIGINT')
    expect((await once(child, 'close'))[0]).toBe(0)
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines[0]).toMatchObject({ bucket: 'topped' })
    expect(lines[1]).toMatchObject({
      url: `http://${away}/metrics`,
      state: 'unreachable',
      error: 'ECONNREFUSED',
    })
    expect(lines.at(-2)).toHaveProperty('updatesPerSecond')
  })

  test('for people there is a table', async () => {
    const away = await nobody()
    const shown = await slip(['top', away, '--once'])
    expect([shown.code, shown.stderr]).toEqual([1, ''])
    expect(shown.stdout).toMatch(/^BUCKET +STATE /)
    expect(shown.stdout).toContain(`\n${away}  unreachable (ECONNREFUSED)`)
  })
})

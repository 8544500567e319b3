import type { NatsConnection } from '@nats-io/nats-core'
import { startNatsServer, natsServerOrSkip } from '@slip/nats-server'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { NatsConnection as Connection, natsConnect } from '../src/index.ts'
import { Breather } from '../src/session/breather.ts'

function fakeClient(): { client: NatsConnection; calls: string[] } {
  const calls: string[] = []
  const socket = { pause: () => calls.push('pause'), resume: () => calls.push('resume') }
  return { client: { protocol: { transport: { socket } } } as unknown as NatsConnection, calls }
}

const LEAST_MESSAGES = 200

/** Messages without a pause between them, until so much time has passed, and some more: a processor may be taken away. */
function flood(breather: Breather, ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;) breather.took()
  for (let i = 0; i < LEAST_MESSAGES; i++) breather.took()
}

test('a turn that receives for long pauses the socket once, and the next one goes on', async () => {
  const { client, calls } = fakeClient()
  const breather = new Breather(client)
  flood(breather, 10)
  expect(calls).toEqual(['pause'])
  await nextTurn()
  await nextTurn()
  expect(calls).toEqual(['pause', 'resume'])
  flood(breather, 10)
  expect(calls).toEqual(['pause', 'resume', 'pause'])
})

test('few messages a turn pause nothing, nor does a client that keeps its socket elsewhere', async () => {
  const { client, calls } = fakeClient()
  const breather = new Breather(client)
  for (let turn = 0; turn < 50; turn++) {
    for (let i = 0; i < 10; i++) breather.took()
    await nextTurn()
  }
  expect(calls).toEqual([])
  flood(new Breather({} as NatsConnection), 10)
})

const { skip } = await natsServerOrSkip('2.12')

test.skipIf(skip)(
  'the client of today keeps its socket where it is looked for',
  { timeout: 60_000 },
  async () => {
    await using server = await startNatsServer({ version: '2.12' })
    const client = await natsConnect({ servers: server.url })
    const { socket } = (client as unknown as { protocol: { transport: { socket: { pause: unknown } } } })
      .protocol.transport
    expect(typeof socket.pause).toBe('function')
    await client.close()
    // And a connection whose socket is paused and resumed loses nothing.
    await using connection = await Connection.connect({ servers: server.url })
    const { writer, watcher } = await connection.store('b', {})
    const operations = Array.from({ length: 20_000 }, (_, i) => ({
      operation: 'put' as const,
      key: `k.${i}`,
      value: 'x'.repeat(200),
    }))
    for await (const outcome of writer.bulk(operations)) expect(outcome).not.toHaveProperty('error')
    let seen = 0
    for await (const batch of watcher.watch('all', { signal: new AbortController().signal })) {
      seen += batch.updates.length
      if (batch.caughtUp) break
    }
    expect(seen).toBe(20_000)
  },
)

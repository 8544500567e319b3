import { greeting, type NatsServer, natsServerOrSkip, startCluster } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

const { skip } = await natsServerOrSkip('2.12')

describe.skipIf(skip)('a cluster of three', { timeout: 120_000 }, () => {
  test('has a leader when it is ready, elects another when it dies, and takes the dead node back', async () => {
    await using cluster = await startCluster({ version: '2.12' })
    expect(cluster.nodes).toHaveLength(3)
    const first = await cluster.leader()
    for (const node of cluster.nodes) {
      expect((await greeting(node.port))['cluster']).toBe('slip')
      await expect.poll(async () => await urlsToldBy(node), { timeout: 20_000 }).toHaveLength(3)
    }
    await first.kill()
    const second = await cluster.leader()
    expect(second.port).not.toBe(first.port)
    await first.restart()
    await expect.poll(async () => await urlsToldBy(first), { timeout: 20_000 }).toHaveLength(3)
    expect((await cluster.leader()).pid).toBeGreaterThan(0)
  })
})

/** Where else a node sends its clients: itself and every node it has a route to. */
async function urlsToldBy(node: NatsServer): Promise<unknown> {
  return (await greeting(node.port))['connect_urls'] ?? []
}

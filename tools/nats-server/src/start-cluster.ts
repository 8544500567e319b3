import { setTimeout as wait } from 'node:timers/promises'
import { freePorts } from './free-port.ts'
import { NatsServer } from './start-server.ts'

const LEADER_WITHIN_MS = 60_000

interface Node {
  readonly server: NatsServer
  readonly monitorPort: number
}

/** Servers with routes to each other, so that streams can have replicas. */
export class NatsCluster implements AsyncDisposable {
  readonly nodes: readonly NatsServer[]
  readonly #nodes: readonly Node[]

  constructor(nodes: readonly Node[]) {
    this.#nodes = nodes
    this.nodes = nodes.map(({ server }) => server)
  }

  /** All of them, for a client that should find another when one dies. */
  get urls(): string[] {
    return this.nodes.map(({ url }) => url)
  }

  /** The node that leads JetStream's own group, once every running node names the same one. */
  async leader(): Promise<NatsServer> {
    const until = performance.now() + LEADER_WITHIN_MS
    for (;;) {
      const running = this.#nodes.filter(({ server }) => server.pid !== undefined)
      const [first, ...others] = await Promise.all(running.map(async (node) => await leaderSeenBy(node)))
      const index = Number(first?.replace(/^node-/, '')) - 1
      if (others.every((name) => name === first) && this.nodes[index]?.pid !== undefined)
        return this.nodes[index]
      if (performance.now() > until)
        throw new Error(`the cluster agreed on no leader:\n${this.nodes.map(({ log }) => log).join('\n')}`)
      await wait(50)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map(async (node) => await node[Symbol.asyncDispose]()))
  }
}

/** A cluster on loopback, three nodes unless said otherwise; resolves when it has a leader and takes streams. */
export async function startCluster(
  options: { readonly version?: string; readonly size?: number } = {},
): Promise<NatsCluster> {
  const { size = 3, version } = options
  const ports = await freePorts(2 * size)
  const routes = ports.slice(0, size).map((port) => `nats-route://127.0.0.1:${port}`)
  const starting = Array.from({ length: size }, async (_, i): Promise<Node> => {
    const monitorPort = ports[size + i]!
    const config = {
      http: `127.0.0.1:${monitorPort}`,
      cluster: { name: 'slip', listen: `127.0.0.1:${ports[i]}`, routes },
    }
    const server = await NatsServer.start({
      ...(version === undefined ? {} : { version }),
      name: `node-${i + 1}`,
      config,
    })
    return { server, monitorPort }
  })
  const started = await Promise.allSettled(starting)
  const nodes = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const cluster = new NatsCluster(nodes)
  try {
    for (const result of started) if (result.status === 'rejected') throw result.reason
    await cluster.leader()
  } catch (error) {
    await cluster[Symbol.asyncDispose]()
    throw error
  }
  return cluster
}

async function leaderSeenBy({ monitorPort }: Node): Promise<string | undefined> {
  try {
    const signal = AbortSignal.timeout(2_000)
    const response = await fetch(`http://127.0.0.1:${monitorPort}/jsz`, { signal })
    const { meta_cluster: meta } = (await response.json()) as { meta_cluster?: { leader?: string } }
    return meta?.leader
  } catch {
    return undefined
  }
}

import { freePorts } from './free-port.ts'
import { NatsServer } from './start-server.ts'

/** Servers with routes to each other, so that streams can have replicas. */
export class NatsCluster implements AsyncDisposable {
  readonly nodes: readonly NatsServer[]

  constructor(nodes: readonly NatsServer[]) {
    this.nodes = nodes
  }

  /** All of them, for a client that should find another when one dies. */
  get urls(): string[] {
    return this.nodes.map(({ url }) => url)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map(async (node) => await node[Symbol.asyncDispose]()))
  }
}

/** A cluster on loopback, three nodes unless said otherwise; it may take seconds until it elected a leader. */
export async function startCluster(
  options: { readonly version?: string; readonly size?: number } = {},
): Promise<NatsCluster> {
  const { size = 3, version } = options
  const ports = await freePorts(2 * size)
  const routePorts = ports.slice(size)
  const routes = routePorts.map((port) => `nats-route://127.0.0.1:${port}`).join(', ')
  const starting = Array.from({ length: size }, async (_, i) => {
    const config = `cluster { name: slip, listen: "127.0.0.1:${routePorts[i]}", routes: [${routes}] }`
    return await NatsServer.start({
      ...(version === undefined ? {} : { version }),
      port: ports[i]!,
      name: `node-${i + 1}`,
      config,
    })
  })
  return new NatsCluster(await Promise.all(starting))
}

import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startCluster, type NatsCluster, type NatsServer, type ServerLine } from '@slip/nats-server'
import { BucketWorld, worldParts, type WorldParts } from './bucket-world.ts'

const READY_WITHIN_MS = 60_000
const TRY_AGAIN_MS = 100

interface ClusterInfo {
  readonly cluster?: {
    readonly leader?: string
    readonly replicas?: readonly {
      readonly name: string
      readonly current?: boolean
      readonly lag?: number
    }[]
  }
}

/** A cluster of three with one bucket of three replicas, and followers of it. */
export class ClusterWorld extends BucketWorld {
  readonly cluster: NatsCluster

  private constructor(cluster: NatsCluster, parts: WorldParts) {
    super(parts)
    this.cluster = cluster
  }

  static async start(version: ServerLine): Promise<ClusterWorld> {
    const cluster = await startCluster({ version })
    const world = new ClusterWorld(cluster, await worldParts({ servers: cluster.urls }))
    await world.persistently('create the bucket', async () => await world.bucket.create({ num_replicas: 3 }))
    return world
  }

  /** Writes until the cluster says it has it. */
  async put(key: string, value: string): Promise<bigint> {
    return await this.persistently(`put ${key}`, async () => await this.bucket.put(key, value))
  }

  /** The node that leads the bucket's stream. */
  async leader(): Promise<NatsServer> {
    return await this.persistently('find the leader', async () => {
      const name = (await this.#info()).cluster?.leader
      const found = this.cluster.nodes[Number(name?.replace(/^node-/, '')) - 1]
      if (found?.pid === undefined) throw new Error(`the leader is ${name}`)
      return found
    })
  }

  /** Resolves when the leader says that all replicas have everything. */
  async replicated(): Promise<void> {
    await this.persistently('replicate', async () => {
      const { replicas = [] } = (await this.#info()).cluster ?? {}
      const behind = replicas.filter(({ current, lag }) => current !== true || (lag ?? 0) > 0)
      if (replicas.length !== 2 || behind.length > 0)
        throw new Error(`behind: ${behind.map(({ name }) => name).join(', ')}`)
    })
  }

  async stepDown(): Promise<void> {
    await this.persistently(
      'step down',
      async () => await this.jetstream.api(`STREAM.LEADER.STEPDOWN.KV_${this.bucket.name}`),
    )
  }

  /** Copies the data of a node that is down. */
  async remember(node: NatsServer): Promise<void> {
    await cp(node.storeDirectory, this.#copyOf(node), { recursive: true })
  }

  /** Gives a node that is down the data it had when it was remembered. */
  async rollBack(node: NatsServer): Promise<void> {
    await this.wipe(node)
    await cp(this.#copyOf(node), node.storeDirectory, { recursive: true })
  }

  /** Takes all data from a node that is down. */
  async wipe(node: NatsServer): Promise<void> {
    await rm(node.storeDirectory, { recursive: true, force: true })
  }

  /** Again and again, while the cluster elects or comes up. */
  async persistently<T>(what: string, work: () => Promise<T>): Promise<T> {
    const until = performance.now() + READY_WITHIN_MS
    for (;;) {
      try {
        return await work()
      } catch (error) {
        if (performance.now() > until) throw new Error(`could not ${what}`, { cause: error })
        await wait(TRY_AGAIN_MS)
      }
    }
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]()
    await this.cluster[Symbol.asyncDispose]()
  }

  async #info(): Promise<ClusterInfo> {
    return (await this.jetstream.api(`STREAM.INFO.KV_${this.bucket.name}`)) as ClusterInfo
  }

  #copyOf(node: NatsServer): string {
    return join(this.directory, `node-${this.cluster.nodes.indexOf(node)}`)
  }
}

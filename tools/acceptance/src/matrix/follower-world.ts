import {
  startNatsServer,
  type NatsServer,
  type ServerConfigOptions,
  type ServerLine,
} from '@slip/nats-server'
import { BucketWorld, worldParts, type WorldParts } from './bucket-world.ts'
import type { StreamSettings } from './matrix-bucket.ts'
import type { Login } from './raw-jetstream.ts'

export interface WorldOptions {
  readonly version: ServerLine
  readonly server?: ServerConfigOptions
  /** Who the test itself is, where the server asks. */
  readonly admin?: Login
  readonly bucket?: string
  readonly settings?: StreamSettings
}

/** A server of its own with one bucket, and followers of it. */
export class FollowerWorld extends BucketWorld {
  readonly server: NatsServer

  private constructor(server: NatsServer, parts: WorldParts) {
    super(parts)
    this.server = server
  }

  static async start({ version, server: wanted, settings, ...who }: WorldOptions): Promise<FollowerWorld> {
    const server = await startNatsServer({ version, ...wanted })
    const world = new FollowerWorld(server, await worldParts({ servers: [server.url], ...who }))
    await world.bucket.create(settings)
    return world
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]()
    await this.server[Symbol.asyncDispose]()
  }
}

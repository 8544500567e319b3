import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { scopePrefixes, type WatchScope } from '@slip/kv-core'
import type { NatsConnectionConfig } from '@slip/nats'
import {
  startNatsServer,
  type NatsServer,
  type ServerConfigOptions,
  type ServerLine,
} from '@slip/nats-server'
import { FollowedFold, type FollowedOptions } from './followed-fold.ts'
import { differences } from './holdings.ts'
import { MatrixBucket, type Holding, type StreamSettings } from './matrix-bucket.ts'
import { type Login, RawJetStream } from './raw-jetstream.ts'

const LOOK_EVERY_MS = 10

export interface WorldOptions {
  readonly version: ServerLine
  readonly server?: ServerConfigOptions
  /** Who the test itself is, where the server asks. */
  readonly admin?: Login
  readonly bucket?: string
  readonly settings?: StreamSettings
}

/** A server of its own with one bucket, and followers of it. */
export class FollowerWorld implements AsyncDisposable {
  readonly server: NatsServer
  readonly bucket: MatrixBucket
  readonly #options: WorldOptions
  readonly #directory: string
  readonly #followed: FollowedFold[] = []
  #jetstream: RawJetStream

  private constructor(options: WorldOptions, server: NatsServer, directory: string, jetstream: RawJetStream) {
    this.#options = options
    this.server = server
    this.#directory = directory
    this.#jetstream = jetstream
    this.bucket = new MatrixBucket(() => this.#jetstream, options.bucket ?? 'routes')
  }

  static async start(options: WorldOptions): Promise<FollowerWorld> {
    const server = await startNatsServer({ version: options.version, ...options.server })
    const directory = await mkdtemp(join(tmpdir(), 'slip-matrix-'))
    const jetstream = await RawJetStream.connect(server.url, options.admin)
    const world = new FollowerWorld(options, server, directory, jetstream)
    await world.bucket.create(options.settings)
    return world
  }

  /** A follower that was not started yet, with a fold of its own. */
  followed(
    connection: Omit<NatsConnectionConfig, 'servers'> & { readonly servers?: string },
    scope: WatchScope = 'all',
    follow?: FollowedOptions['follow'],
  ): FollowedFold {
    const followed = new FollowedFold({
      bucket: this.bucket.name,
      directory: join(this.#directory, `follower-${this.#followed.length}`),
      scope,
      connection: { servers: this.server.url, ...connection },
      follow,
    })
    this.#followed.push(followed)
    return followed
  }

  /**
   * Gives the milliseconds until a follower was live with what the bucket holds, while nobody writes to
   * it and nothing in it expires.
   */
  async untilRight(followed: FollowedFold, scope: WatchScope = 'all', timeoutMs = 10_000): Promise<number> {
    const listing = await this.bucket.listing(scopePrefixes(scope))
    const from = performance.now()
    for (;;) {
      const wrong = wrongWith(followed, listing)
      const tookMs = performance.now() - from
      if (wrong.length === 0) return tookMs
      if (tookMs > timeoutMs)
        throw new Error(`not right after ${timeoutMs} ms: ${wrong.slice(0, 5).join('; ')}`)
      await wait(LOOK_EVERY_MS)
    }
  }

  /** After the server was started anew. */
  async reconnect(): Promise<void> {
    await this.#jetstream[Symbol.asyncDispose]()
    this.#jetstream = await RawJetStream.connect(this.server.url, this.#options.admin)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#followed.map(async (followed) => await followed[Symbol.asyncDispose]()))
    await this.#jetstream[Symbol.asyncDispose]()
    await this.server[Symbol.asyncDispose]()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

function wrongWith(followed: FollowedFold, listing: Holding): readonly string[] {
  const { state, reason } = followed.status
  if (state !== 'live') return [`the state is ${state} (${reason})`]
  return [
    ...differences('the fold', followed.fold(), listing),
    ...differences('apply', followed.handed, listing),
  ]
}

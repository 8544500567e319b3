import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { scopePrefixes, type WatchScope } from '@slip/kv-core'
import type { NatsConnectionConfig } from '@slip/nats'
import { FollowedFold, type FollowedOptions } from './followed-fold.ts'
import { differences } from './holdings.ts'
import { MatrixBucket, type Holding } from './matrix-bucket.ts'
import { type Login, RawJetStream } from './raw-jetstream.ts'

const LOOK_EVERY_MS = 10

export interface BucketWorldOptions {
  /** The servers of one cluster, or the one there is. */
  readonly servers: readonly string[]
  /** Who the test itself is, where the server asks. */
  readonly admin?: Login | undefined
  readonly bucket?: string | undefined
}

export interface WorldParts {
  readonly options: BucketWorldOptions
  readonly directory: string
  readonly jetstream: RawJetStream
}

/** One bucket and followers of it; the servers are somebody else's. */
export class BucketWorld implements AsyncDisposable {
  readonly bucket: MatrixBucket
  readonly #options: BucketWorldOptions
  readonly #directory: string
  readonly #followed: FollowedFold[] = []
  #jetstream: RawJetStream

  protected constructor({ options, directory, jetstream }: WorldParts) {
    this.#options = options
    this.#directory = directory
    this.#jetstream = jetstream
    this.bucket = new MatrixBucket(() => this.#jetstream, options.bucket ?? 'routes')
  }

  get jetstream(): RawJetStream {
    return this.#jetstream
  }

  /** A directory that goes with this. */
  get directory(): string {
    return this.#directory
  }

  /** A follower that was not started yet, with a fold of its own. */
  followed(
    connection: NatsConnectionConfig = {},
    scope: WatchScope = 'all',
    follow?: FollowedOptions['follow'],
  ): FollowedFold {
    const followed = new FollowedFold({
      bucket: this.bucket.name,
      directory: join(this.#directory, `follower-${this.#followed.length}`),
      scope,
      connection: { servers: this.#options.servers, ...connection },
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

  /** After a server was started anew. */
  async reconnect(): Promise<void> {
    await this.#jetstream[Symbol.asyncDispose]()
    this.#jetstream = await RawJetStream.connect(this.#options.servers, this.#options.admin)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#followed.map(async (followed) => await followed[Symbol.asyncDispose]()))
    await this.#jetstream[Symbol.asyncDispose]()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

/** What a world is made of, once its servers are there. */
export async function worldParts(options: BucketWorldOptions): Promise<WorldParts> {
  const jetstream = await RawJetStream.connect(options.servers, options.admin)
  return { options, directory: await mkdtemp(join(tmpdir(), 'slip-matrix-')), jetstream }
}

function wrongWith(followed: FollowedFold, listing: Holding): readonly string[] {
  const { state, reason } = followed.status
  if (state !== 'live') return [`the state is ${state} (${reason})`]
  return [
    ...differences('the fold', followed.fold(), listing),
    ...differences('apply', followed.handed, listing),
  ]
}

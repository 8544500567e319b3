import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RawJetStream, without } from '@slip/acceptance'
import { follow, type Follower } from '@slip/kv-core'
import { NatsConnection, natsBucket } from '@slip/nats'
import {
  natsServerOrSkip,
  SERVER_MATRIX,
  startNatsServer,
  startProxy,
  type NatsServer,
  type Proxy,
  type ServerLine,
} from '@slip/nats-server'
import { appendLog, type AppendLogSnapshot } from '@slip/store-applog'
import { describe, expect, test, vi } from 'vitest'

const KEYS = Array.from({ length: 10 }, (_, i) => `k.${i}`)
const PATIENT = { timeout: 30_000 }

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(
    `a backup of nats-server ${version} that was put back and written on, with as many keys and more revisions`,
    { timeout: 120_000 },
    () => {
      test.each(['stopped', 'live'] as const)('is found by a follower that was %s', async (state) => {
        await using world = await BackedUp.start(version)
        const { reasons, fold } = await world.throughRollback(state)
        await vi.waitFor(() => expect(reasons).toContain('bucketRolledBack'), PATIENT)
        await vi.waitFor(() => expect(valuesOf(fold)).toEqual(KEYS.map(() => 'second')), PATIENT)
        await vi.waitFor(() => expect(fold.status.verifiedThrough).toBe(world.last), PATIENT)
        expect(fold.status.unverified).toEqual([])
      })

      test('is not found by what else is known of it', async () => {
        await without(['history'], async () => {
          await using world = await BackedUp.start(version)
          const { reasons, fold } = await world.throughRollback('stopped')
          await vi.waitFor(() => expect(fold.status.verifiedThrough).toBe(world.last), PATIENT)
          expect(reasons).not.toContain('bucketRolledBack')
          expect(valuesOf(fold)).toContain('first')
        })
      })
    },
  )
}

function valuesOf(fold: Follower<AppendLogSnapshot>): string[] {
  return KEYS.map((key) => Buffer.from(fold.get(key)?.value ?? '').toString())
}

/** A server with a bucket, and the copy of its data that was made while it was down. */
class BackedUp implements AsyncDisposable {
  readonly #server: NatsServer
  readonly #proxy: Proxy
  readonly #directory: string
  readonly #folds: Follower<AppendLogSnapshot>[] = []
  last = 0n

  private constructor(server: NatsServer, proxy: Proxy, directory: string) {
    this.#server = server
    this.#proxy = proxy
    this.#directory = directory
  }

  static async start(version: ServerLine): Promise<BackedUp> {
    const server = await startNatsServer({ version })
    const directory = await mkdtemp(join(tmpdir(), 'slip-backup-'))
    const world = new BackedUp(server, await startProxy({ target: server }), directory)
    await world.#write(KEYS, 'old')
    await server.kill('SIGTERM')
    await cp(server.storeDirectory, world.#copy, { recursive: true })
    await server.restart()
    return world
  }

  /** The follower applies what the backup lacks, and sees the bucket again when all of it was written otherwise. */
  async throughRollback(
    state: 'stopped' | 'live',
  ): Promise<{ readonly reasons: readonly string[]; readonly fold: Follower<AppendLogSnapshot> }> {
    const before = await this.#follow()
    await before.fold.caughtUp({ timeoutMs: PATIENT.timeout })
    await before.fold.waitFor(await this.#write(KEYS, 'first'), { timeoutMs: PATIENT.timeout })
    if (state === 'stopped') await before.fold.close()

    this.#proxy.refuse()
    await this.#server.kill('SIGTERM')
    await rm(this.#server.storeDirectory, { recursive: true, force: true })
    await cp(this.#copy, this.#server.storeDirectory, { recursive: true })
    await this.#server.restart()
    const oneMore = KEYS[0]!
    this.last = await this.#write([...KEYS.toReversed(), oneMore, oneMore], 'second')
    this.#proxy.release()
    return state === 'live' ? before : await this.#follow()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#folds.map(async (fold) => await fold.close()))
    await this.#proxy[Symbol.asyncDispose]()
    await this.#server[Symbol.asyncDispose]()
    await rm(this.#directory, { recursive: true, force: true })
  }

  get #copy(): string {
    return join(this.#directory, 'copy')
  }

  async #follow(): Promise<{ readonly reasons: string[]; readonly fold: Follower<AppendLogSnapshot> }> {
    const fold = await follow({
      source: natsBucket('b', { servers: this.#proxy.url }),
      store: appendLog({ path: join(this.#directory, 'fold.slip') }),
      auditIntervalMs: 500,
    })
    const reasons: string[] = []
    fold.onStatus(({ reason }) => void (reason !== undefined && reasons.push(reason)))
    this.#folds.push(fold)
    return { reasons, fold }
  }

  async #write(keys: readonly string[], value: string): Promise<bigint> {
    await using raw = await RawJetStream.connect(this.#server.url)
    await raw.ready()
    await using connection = await NatsConnection.connect({ servers: this.#server.url, timeoutMs: 20_000 })
    const { writer } = await connection.store('b', {})
    let last = 0n
    for (const key of keys) last = (await writer.put(key, value)).revision!
    return last
  }
}

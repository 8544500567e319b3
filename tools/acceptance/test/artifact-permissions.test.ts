import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { documentedPermissions, slip, violationsIn } from '@slip/acceptance'
import {
  downloadArtifact,
  ExportLease,
  exportSnapshot,
  natsObjects,
  pruneArtifacts,
  publishArtifact,
} from '@slip/export'
import { VersionToken, WatchCursor, type KvUpdate, type ObjectStore } from '@slip/kv-core'
import { NatsConnection, natsConnect } from '@slip/nats'
import {
  natsServerOrSkip,
  SERVER_MATRIX,
  startNatsServer,
  type NatsServer,
  type ServerLine,
} from '@slip/nats-server'
import { appendLog } from '@slip/store-applog'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const documented = await documentedPermissions('export')
const DOWNLOAD = documented.get('download') ?? []
const ROLES = {
  downloader: DOWNLOAD,
  publisher: [...DOWNLOAD, ...(documented.get('publish') ?? [])],
  pruner: [...DOWNLOAD, ...(documented.get('prune') ?? [])],
  holder: documented.get('take a lease') ?? [],
} as const
type Role = keyof typeof ROLES
const MAKES = documented.get('make the object bucket') ?? []
const PASSWORD = 'first'
/** So many that the hashes of a payload are more than one chunk. */
const KEYS = 20_000
const TIMEOUT_MS = 2_000

let root = ''
const artifacts: string[] = []
let folds = 0

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'slip-permissions-'))
  const store = await appendLog({ path: join(root, 'fold') }).open()
  const updates = Array.from({ length: KEYS }, (_, i) => put(i, i + 1))
  for (const batch of [updates, [put(1, KEYS + 1)], [put(2, KEYS + 2)]]) {
    await store.apply(batch, WatchCursor.fromToken(batch.at(-1)!.version))
    artifacts.push(join(root, `artifact-${artifacts.length}`))
    await exportSnapshot(store, artifacts.at(-1)!, { layout: 'records' })
  }
  await store.close()
})

afterAll(async () => rm(root, { recursive: true, force: true }))

function put(key: number, revision: number): KvUpdate {
  const value = new TextEncoder().encode(`value ${revision}`)
  return { operation: 'put', key: `key.${key}`, value, version: VersionToken.fromRevision(BigInt(revision)) }
}

/** A server whose users may do so much and nothing else, and what they see of it. */
class World implements AsyncDisposable {
  readonly server: NatsServer
  readonly #open: { close(): Promise<void> }[] = []

  private constructor(server: NatsServer) {
    this.server = server
  }

  static async start(
    version: ServerLine,
    users: Readonly<Record<string, readonly string[]>>,
  ): Promise<World> {
    const restricted = Object.entries(users).map(([user, allow]) => ({
      user,
      password: PASSWORD,
      permissions: { publish: { allow }, subscribe: { allow: ['_INBOX.>'] } },
    }))
    const config = { authorization: { users: [{ user: 'admin', password: PASSWORD }, ...restricted] } }
    return new World(await startNatsServer({ version, config }))
  }

  async objects(user: string): Promise<ObjectStore> {
    const raw = (await natsConnect({ servers: this.server.url, user, password: PASSWORD })) as {
      close(): Promise<void>
    }
    this.#open.push(raw)
    return natsObjects(raw, 'artifacts')
  }

  async connection(user: string): Promise<NatsConnection> {
    const connection = await NatsConnection.connect({ servers: this.server.url, user, password: PASSWORD })
    this.#open.push(connection)
    return connection
  }

  /** What is published before anybody is restricted. */
  async prepare(count: number, name = 'routes'): Promise<void> {
    const objects = await this.objects('admin')
    for (const artifact of artifacts.slice(0, count)) await publishArtifact(artifact, objects, name)
    await (await this.connection('admin')).store('leases', {})
  }

  /** What a role is there for. */
  async does(role: Role, user: string, name = 'routes'): Promise<unknown> {
    const wait = { timeoutMs: TIMEOUT_MS }
    if (role === 'holder') {
      const bucket = await (await this.connection(user)).store('leases', {})
      const lease = await ExportLease.tryAcquire(bucket, name, { holderId: 'me', ttlMs: 60_000, ...wait })
      await lease!.complete(WatchCursor.fromRevision(1n))
      return ExportLease.current(bucket, name)
    }
    const objects = await this.objects(user)
    if (role === 'downloader') return downloadArtifact(objects, name, join(root, `down-${++folds}`), wait)
    if (role === 'pruner') return pruneArtifacts(objects, name, { graceMs: 0, ...wait })
    await publishArtifact(artifacts[1]!, objects, name, wait)
    return publishArtifact(artifacts[2]!, objects, name, wait)
  }

  async listed(user: string): Promise<number> {
    let count = 0
    for await (const _ of (await this.objects(user)).list('', { timeoutMs: TIMEOUT_MS })) count++
    return count
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.#open) await each.close()
    await this.server.stop()
  }
}

test('the README of @slip/export lists what each may publish to', () => {
  for (const allowed of [...Object.values(ROLES), MAKES]) expect(allowed.length).toBeGreaterThan(0)
  for (const subject of [...Object.values(ROLES).flat(), ...MAKES])
    expect(subject).toMatch(/^\$(JS\.API\.[A-Z.]+\.(OBJ_artifacts|KV_leases)|O\.artifacts\.|KV\.leases\.)/)
})

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  test.skipIf(skip)(
    `with the documented permissions alone artifacts go their way on nats-server ${version}`,
    { timeout: 120_000 },
    async () => {
      const maker = [...ROLES.publisher, ...MAKES]
      await using world = await World.start(version, { ...ROLES, maker })
      await publishArtifact(artifacts[0]!, await world.objects('maker'), 'routes')
      await world.prepare(0)
      const bootstrap = async (named: readonly string[]): Promise<unknown> => {
        const login = ['--server', world.server.url, '--user', 'downloader', '--password', PASSWORD]
        const fold = `log:${join(root, `fold-${++folds}`)}`
        const { code, lines } = await slip(['bootstrap', 'nats:artifacts', fold, ...named, ...login])
        return [code, lines[0]?.['entries']]
      }
      expect(await world.does('publisher', 'publisher')).toMatchObject({ outcome: 'published' })
      expect(await world.does('downloader', 'downloader')).toMatchObject({ entries: KEYS })
      expect(await bootstrap(['--name', 'routes'])).toEqual([0, KEYS])
      expect(await bootstrap([])).toEqual([0, KEYS])
      expect(await world.does('pruner', 'pruner')).toBe(2)
      expect(await world.does('holder', 'holder')).toMatchObject({ holderId: 'me' })
      expect(violationsIn(world.server.log)).toEqual([])
    },
  )
}

/** Without these all works: the server removes a consumer that is idle, and what was replaced stays. */
const MAY_LACK: Readonly<Record<Role, RegExp>> = {
  downloader: /CONSUMER\.(INFO|DELETE)/,
  publisher: /CONSUMER\.(INFO|DELETE)|PURGE/,
  pruner: /CONSUMER\.(INFO|DELETE)/,
  holder: /^$/,
}

describe.skipIf((await natsServerOrSkip('2.12')).skip)('with one permission less', () => {
  for (const [role, allowed] of Object.entries(ROLES) as [Role, readonly string[]][])
    test(`a ${role} is told`, { timeout: 300_000 }, async () => {
      const users = Object.fromEntries(
        allowed.map((less, i) => [`user-${i}`, allowed.filter((each) => each !== less)]),
      )
      await using world = await World.start('2.12', users)
      for (const [i, less] of allowed.entries()) {
        const name = `routes-${i}`
        await world.prepare(role === 'pruner' ? 3 : 1, name)
        // Of a pull that is not allowed the client hears nothing.
        if (less.includes('MSG.NEXT')) {
          await expect(world.listed(`user-${i}`), less).rejects.toMatchObject({ code: 'Timeout' })
          continue
        }
        const done = world.does(role, `user-${i}`, name)
        if (MAY_LACK[role].test(less)) await expect(done, less).resolves.toBeDefined()
        else await expect(done, less).rejects.toMatchObject({ code: 'PermissionDenied' })
      }
    })

  test('a listing is told', { timeout: 60_000 }, async () => {
    const without = (word: string): readonly string[] => DOWNLOAD.filter((each) => !each.includes(word))
    await using world = await World.start('2.12', {
      info: without('STREAM.INFO'),
      create: without('CONSUMER.CREATE'),
    })
    await world.prepare(1)
    for (const user of ['info', 'create'])
      await expect(world.listed(user), user).rejects.toMatchObject({ code: 'PermissionDenied' })
  })
})

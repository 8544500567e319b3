import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import {
  Churn,
  countFrom,
  FollowProcess,
  listBucket,
  PointerWatch,
  runSeed,
  SeededRandom,
  slip,
} from '@slip/acceptance'
import { directoryObjects, ExportLease, natsObjects } from '@slip/export'
import type { KvStore, ObjectStore } from '@slip/kv-core'
import { NatsConnection, natsConnect } from '@slip/nats'
import { freeze, natsServerOrSkip, startNatsServer } from '@slip/nats-server'
import { expect, test } from 'vitest'

const ROUNDS = countFrom('SLIP_FLEET_ROUNDS', 6)
const NODES = countFrom('SLIP_FLEET_NODES', 5)
const EVERY_MS = 2_000
const BUCKET = 'churn'
const HOUR_MS = 3_600_000
const SKEWS = [0, 3 * HOUR_MS, -HOUR_MS, 700, 0, HOUR_MS, 5_000, -5_000, -700, 0].slice(0, NODES)
const { skip } = await natsServerOrSkip('2.12')

/** One node: a process that follows and publishes, killed and started again. */
class Node {
  readonly #args: readonly string[]
  readonly #skewMs: number
  process: FollowProcess

  constructor(args: readonly string[], skewMs: number) {
    this.#args = args
    this.#skewMs = skewMs
    this.process = this.#start()
  }

  async killed(): Promise<void> {
    await this.process.kill()
  }

  startAgain(): void {
    this.process = this.#start()
  }

  #start(): FollowProcess {
    return FollowProcess.start(this.#args, { skewMs: this.#skewMs })
  }
}

for (const kind of ['nats', 'file'] as const)
  test.skipIf(skip)(
    `a fleet that publishes in rounds to ${kind === 'nats' ? 'NATS Object Store' : 'a directory'}, killed, stopped and with clocks that differ, makes one artifact a round; the pointer never goes back and always resolves; newcomers converge`,
    { timeout: 240_000 + ROUNDS * EVERY_MS * 4 },
    async () => {
      const seed = runSeed()
      console.log(`fleet over ${kind}: SLIP_SEED=${seed}`)
      const random = new SeededRandom(seed)
      await using server = await startNatsServer({ version: '2.12' })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const raw = (await natsConnect({ servers: server.url })) as { close(): Promise<void> }
      const there = await mkdtemp(join(tmpdir(), 'slip-fleet-'))
      const nodes: Node[] = []
      try {
        const objectsDirectory = join(there, 'objects')
        const url = kind === 'nats' ? 'nats:copies' : `file:${objectsDirectory}`
        const objects = kind === 'nats' ? natsObjects(raw, 'copies') : directoryObjects(objectsDirectory)
        const bucket = await connection.store(BUCKET, { history: 1 })
        const leases = await connection.store('slip_leases', { history: 1 })
        const folds = join(there, 'nodes')
        await mkdir(folds)
        const writing = new Churn(bucket.writer, random)
        const scratch = join(there, 'watch')
        await mkdir(scratch)
        const watch = new PointerWatch({
          objects,
          name: BUCKET,
          scratch,
          truth: ({ revision }) => writing.at(revision),
        })
        for (const [i, skewMs] of SKEWS.entries()) {
          const fold = `${i % 2 === 0 ? 'log' : 'lmdb'}:${join(folds, `${i}`)}`
          const publish = ['--publish', url, '--every', `${EVERY_MS}ms`]
          nodes.push(new Node([BUCKET, '--fold', fold, ...publish, '--server', server.url], skewMs))
        }
        const payloads = new Set<string>()
        const began = await watch.until(() => true, 90_000)

        const over = began.atMs + ROUNDS * EVERY_MS
        const stopped = new Set<Node>()
        const counts = { kills: 0, stops: 0, stopsInARound: 0, newcomers: 0 }
        // On a machine under load the rounds may be over before a node was stopped in one.
        const goesOn = (): boolean =>
          performance.now() < over || (counts.stops === 0 && performance.now() < over + 60_000)

        const kills = async (): Promise<void> => {
          while (goesOn()) {
            await wait(EVERY_MS * (0.3 + random.next()))
            const node = nodes[random.below(nodes.length)]!
            if (stopped.has(node)) continue
            await node.killed()
            counts.kills++
            await wait(random.below(EVERY_MS))
            node.startAgain()
          }
        }
        const stops = async (): Promise<void> => {
          while (goesOn()) {
            // Just behind its upload, or somewhere in its round.
            const held = await (counts.stops % 2 === 0
              ? uploaded(objects, leases, goesOn)
              : beginning(leases, goesOn))
            const node = nodes.find(({ process }) => held?.includes(`/${process.pid}-`))
            if (node === undefined) continue
            if (counts.stops % 2 === 1) await wait(random.below(20))
            try {
              freeze(node.process.pid)
            } catch (error) {
              // Killed just before.
              if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
              continue
            }
            stopped.add(node)
            counts.stops++
            if ((await ExportLease.current(leases, BUCKET))?.completedCursor === undefined)
              counts.stopsInARound++
            await wait(EVERY_MS * (2 + random.next()))
            node.process.signal('SIGCONT')
            stopped.delete(node)
            await wait(EVERY_MS * random.next())
          }
        }
        const newcomers = async (): Promise<void> => {
          while (goesOn()) {
            await wait(EVERY_MS * 2)
            const fold = `log:${join(there, `newcomer-${counts.newcomers++}`)}`
            const args = ['follow', BUCKET, '--fold', fold, '--from', url, '--once', '--server', server.url]
            const { code, stderr, lines } = await slip(args)
            expect([code, stderr]).toEqual([0, ''])
            const revision = BigInt(lines.at(-1)!['revision'] as number)
            expect(await dumped(fold)).toEqual(await writing.at(revision))
          }
        }
        const listing = async (): Promise<void> => {
          while (goesOn()) {
            for await (const { name } of objects.list(`${BUCKET}.payloads/`)) payloads.add(name)
            await wait(EVERY_MS / 4)
          }
        }
        await Promise.all([kills(), stops(), newcomers(), listing()])
        const elapsed = performance.now() - began.atMs
        const made = [...watch.pointed]

        await writing.stop()
        await watch.until(({ revision }) => revision >= writing.last, 90_000)
        const listed = new Set(
          [...(await listBucket(server.url, BUCKET))].map(
            ([key, { value, revision }]) => `${key} ${Buffer.from(value, 'base64').toString()} ${revision}`,
          ),
        )
        for (const [i, place] of ['log', 'lmdb'].entries()) {
          const fold = `${place}:${join(there, `last-${i}`)}`
          expect((await slip(['bootstrap', url, fold, '--server', server.url])).code).toBe(0)
          expect(await dumped(fold)).toEqual(listed)
          const { lines } = await slip(['follow', BUCKET, '--fold', fold, '--once', '--server', server.url])
          expect(lines.at(-1)).toMatchObject({ done: true, delivered: 0, relisted: 0 })
        }
        await watch.stop()

        const rounds = elapsed / EVERY_MS
        const gaps = made.slice(1).map(({ atMs }, i) => atMs - made[i]!.atMs)
        const early = gaps.filter((gap) => gap < 0.8 * EVERY_MS).length
        console.log(
          `fleet over ${kind}: ${made.length} artifacts in ${rounds.toFixed(1)} rounds, ${early} of them less than 0.8 rounds behind another; ${payloads.size} payloads, ${watch.fetched} fetched whole, ${watch.reread} pointers read again; ${counts.kills} kills, ${counts.stops} stops (${counts.stopsInARound} in the middle of a round), ${counts.newcomers} newcomers`,
        )
        // A node that starts beside one whose clock differs, and one that goes on behind its lease, may make one more.
        const excused = counts.kills + counts.stops + nodes.length
        expect(early).toBeLessThanOrEqual(excused)
        expect(payloads.size).toBeLessThanOrEqual(rounds + 1 + excused)
        expect(payloads.size).toBeGreaterThanOrEqual(Math.floor(rounds / 4))
        expect(counts.kills).toBeGreaterThan(0)
        expect(counts.stops).toBeGreaterThan(0)

        for (const { process } of nodes) process.signal('SIGTERM')
        const ends = await Promise.all(nodes.map(({ process }) => process.exited))
        expect(ends, nodes.map(({ process }) => process.stderr).join('')).toEqual(nodes.map(() => 0))
        expect((await readdir(folds)).filter((name) => name.includes('slip-staging'))).toEqual([])
      } finally {
        for (const node of nodes) await node.killed()
        await raw.close()
        await rm(there, { recursive: true, force: true })
      }
    },
  )

/** Who has begun a round, as soon as it has. */
async function beginning(leases: KvStore, goesOn: () => boolean): Promise<string | undefined> {
  const before = await ExportLease.current(leases, BUCKET)
  while (goesOn()) {
    const held = await ExportLease.current(leases, BUCKET)
    const isNew = held?.acquiredAtUnix !== before?.acquiredAtUnix || held?.holderId !== before?.holderId
    if (held !== undefined && isNew && held.completedCursor === undefined) return held.holderId
    await wait(2)
  }
  return undefined
}

/** Who has put a payload, as soon as it is there. */
async function uploaded(
  objects: ObjectStore,
  leases: KvStore,
  goesOn: () => boolean,
): Promise<string | undefined> {
  const listed = async (): Promise<string[]> => {
    const names: string[] = []
    for await (const { name } of objects.list(`${BUCKET}.payloads/`)) names.push(name)
    return names
  }
  const before = new Set(await listed())
  while (goesOn()) {
    if ((await listed()).some((name) => !before.has(name)))
      return (await ExportLease.current(leases, BUCKET))?.holderId
    await wait(2)
  }
  return undefined
}

async function dumped(fold: string): Promise<Set<string>> {
  const { lines } = await slip(['dump', fold])
  return new Set(
    lines.map(
      ({ key, value, revision }) =>
        `${String(key)} ${Buffer.from(String(value), 'base64').toString()} ${String(revision)}`,
    ),
  )
}

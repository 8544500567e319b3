import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Churn, PointerWatch, runSeed, SeededRandom, slip } from '@slip/acceptance'
import { directoryObjects, ExportRounds, fromArtifact, natsObjects, type RoundReport } from '@slip/export'
import { follow, type Follower, type ObjectStore, type SnapshotLocation } from '@slip/kv-core'
import { natsBucket, NatsConnection, natsConnect } from '@slip/nats'
import { natsServerOrSkip, SERVER_MATRIX, startNatsServer } from '@slip/nats-server'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'
import { describe, expect, test } from 'vitest'

const BUCKET = 'routes'
const WITHIN_MS = 120_000
const WITHIN = { timeoutMs: WITHIN_MS }

/** Puts and bodies that wait, from when it is shut until it is opened. */
class Gate {
  #opened: Promise<void> = Promise.resolve()
  #open = (): void => undefined

  shut(): void {
    this.#opened = new Promise((resolve) => (this.#open = resolve))
  }

  open(): void {
    this.#open()
  }

  async pass(): Promise<void> {
    await this.#opened
  }
}

function overGate(store: ObjectStore, parts: Partial<ObjectStore>): ObjectStore {
  return {
    capabilities: store.capabilities,
    get: (...given) => store.get(...given),
    put: (...given) => store.put(...given),
    list: (...given) => store.list(...given),
    delete: (...given) => store.delete(...given),
    ...parts,
  }
}

describe.each(SERVER_MATRIX)('nats-server %s', async (version) => {
  const { skip } = await natsServerOrSkip(version)

  test.skipIf(skip).concurrent.for(['nats', 'file'] as const)(
    'a bucket is recreated under followers that publish to %s: they go on under its new history, and nobody starts from the old one',
    { timeout: 6 * WITHIN_MS },
    async (kind, { onTestFinished }) => {
      const seed = runSeed()
      console.log(`recreated on ${version} over ${kind}: SLIP_SEED=${seed}`)
      const random = new SeededRandom(seed)
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const raw = (await natsConnect({ servers: server.url })) as { close(): Promise<void> }
      const there = await mkdtemp(join(tmpdir(), 'slip-recreated-'))
      onTestFinished(async () => {
        await raw.close()
        await rm(there, { recursive: true, force: true })
      })
      const url = kind === 'nats' ? 'nats:copies' : `file:${join(there, 'objects')}`
      const objects = kind === 'nats' ? natsObjects(raw, 'copies') : directoryObjects(join(there, 'objects'))
      const leases = await connection.store('leases', { history: 1 })
      const source = natsBucket(BUCKET, { servers: server.url })
      const described = async () => (await connection.store(BUCKET)).watcher.describe('all')
      const wires = ['--server', server.url]

      const first = new Churn((await connection.store(BUCKET, { history: 1 })).writer, random)
      const { incarnation: old } = await described()
      let second: Churn | undefined
      const scratch = join(there, 'watch')
      await mkdir(scratch)
      const watch = new PointerWatch({
        objects,
        name: BUCKET,
        scratch,
        truth: async ({ incarnation, revision }) => (incarnation === old ? first : second!).at(revision),
      })

      const pointerGate = new Gate()
      const published = overGate(objects, {
        put: async (name, ...rest) => {
          if (name.endsWith('.manifest.json')) await pointerGate.pass()
          return objects.put(name, ...rest)
        },
      })
      const reports: RoundReport[] = []
      const publisher = async (holderId: string, store: SnapshotLocation): Promise<Follower> => {
        const follower = await follow({ source, store, auditIntervalMs: 500 })
        const rounds = ExportRounds.start(follower, {
          name: BUCKET,
          everyMs: 1_000,
          lease: { key: BUCKET, holderId },
          open: async () => ({ bucket: leases, to: published, source: described }),
          scratchDirectory: join(there, holderId),
          onRound: (report) => reports.push(report),
        })
        onTestFinished(async () => {
          pointerGate.open()
          await rounds.close()
          await follower.close()
        })
        return follower
      }
      const publishers = [
        await publisher('a', appendLog({ path: join(there, 'a.slip') })),
        await publisher('b', lmdb({ path: join(there, 'b.lmdb') })),
      ]
      // The old history comes far.
      const far = await watch.until(({ revision }) => revision > 300n, WITHIN_MS)
      await first.stop()
      await watch.until(({ revision }) => revision >= first.last, WITHIN_MS)

      // One that has begun to fetch the old one.
      const bodyGate = new Gate()
      let hasBegun = (): void => undefined
      const begun = new Promise<void>((resolve) => (hasBegun = resolve))
      bodyGate.shut()
      const slowly = overGate(objects, {
        get: async (name, options) => {
          const found = await objects.get(name, options)
          if (found === undefined || name.endsWith('.manifest.json')) return found
          async function* slow(): AsyncGenerator<Uint8Array> {
            for await (const piece of found!.body) {
              hasBegun()
              await bodyGate.pass()
              yield piece
            }
          }
          return { ...found, body: slow() }
        },
      })
      const newcomer = (name: string, from: ObjectStore): Promise<Follower> =>
        follow({
          source,
          store: appendLog({ path: join(there, name) }),
          bootstrap: fromArtifact(from, BUCKET, {
            source: described,
            scratchDirectory: join(there, `${name}.got`),
          }),
        })
      const slow = newcomer('slow', slowly)
      await begun

      pointerGate.shut()
      await connection.deleteBucket(BUCKET)
      const store = await connection.store(BUCKET, { history: 1 })
      second = new Churn(store.writer, random)
      const { incarnation: young } = await described()
      expect(young).not.toBe(old)

      // The pointer still names an artifact of the old one.
      expect(watch.last).toMatchObject({ incarnation: old })
      const fold = `log:${join(there, 'checked')}`
      const refused = await slip(['bootstrap', url, fold, '--against', BUCKET, ...wires])
      expect([refused.code, refused.lines.at(-1)]).toEqual([
        4,
        {
          error: expect.objectContaining({
            code: 'ArtifactInvalid',
            message: expect.stringMatching(/history/),
          }),
        },
      ])
      expect((await slip(['verify', fold])).code).toBe(2)
      const ofTheOld = async (follower: Follower): Promise<string[]> => {
        const truth = await first.at(first.last)
        return shown(follower).filter((each) => truth.has(each))
      }
      const between = await newcomer('between', objects)
      onTestFinished(() => between.close())
      expect(await ofTheOld(between)).toEqual([])
      expect(between.status.error).toMatchObject({ code: 'ArtifactInvalid' })

      bodyGate.open()
      const late = await slow
      onTestFinished(() => late.close())
      expect(await ofTheOld(late)).toEqual([])
      expect(late.status.error).toMatchObject({ code: 'ArtifactInvalid' })

      pointerGate.open()
      const next = await watch.until(({ incarnation }) => incarnation === young, WITHIN_MS)
      expect(next.revision).toBeLessThan(far.revision)
      const beyond = await watch.until(
        ({ incarnation, revision }) => incarnation === young && revision > next.revision + 50n,
        WITHIN_MS,
      )
      await second.stop()
      await watch.until(
        ({ incarnation, revision }) => incarnation === young && revision >= second.last,
        WITHIN_MS,
      )
      expect(beyond.revision).toBeGreaterThan(next.revision)
      await watch.stop()
      expect(new Set(watch.pointed.map(({ incarnation }) => incarnation))).toEqual(new Set([old, young]))

      const truth = [...(await second.at(second.last))].sort()
      for (const follower of [...publishers, between, late]) {
        await follower.waitFor(second.last, WITHIN)
        await follower.caughtUp(WITHIN)
        expect(shown(follower)).toEqual(truth)
      }
      expect((await slip(['bootstrap', url, fold, '--against', BUCKET, ...wires])).code).toBe(0)
      const again = await newcomer('again', objects)
      onTestFinished(() => again.close())
      await again.caughtUp(WITHIN)
      expect(shown(again)).toEqual(truth)
      expect(again.status).toMatchObject({ delivered: 0, relisted: 0 })
      const count = (outcome: string): number => reports.filter((report) => report.outcome === outcome).length
      console.log(
        `recreated on ${version} over ${kind}: ${watch.pointed.length} artifacts, revision ${first.last} of the old history, ${next.revision} the first of the new one; rounds published ${count('published')}, superseded ${count('superseded')}, failed ${count('failed')}`,
      )
    },
  )
})

function shown(follower: Follower): string[] {
  return [...follower.entries()]
    .map(({ key, value, version }) => `${key} ${Buffer.from(value).toString()} ${version.revision}`)
    .sort()
}

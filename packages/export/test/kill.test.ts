import { spawn } from 'node:child_process'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { SnapshotLocation } from '@slip/kv-core'
import {
  directoryObjects,
  downloadArtifact,
  exportSnapshot,
  importSnapshot,
  MANIFEST_FILE,
  publishArtifact,
  verifyArtifact,
} from '@slip/export'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { filled, whole } from './folds.ts'
import { plain, scratch, seededRandom } from './scratch.ts'

/** Of each kind of work; Infinity is every call. */
const KILLS = Number(process.env['SLIP_ARTIFACT_KILLS'] ?? 4)

type Backend = 'log' | 'lmdb'
const PLACES: Readonly<Record<Backend, (path: string) => SnapshotLocation>> = {
  log: (path) => appendLog({ path }),
  lmdb: (path) => lmdb({ path }),
}

/** What is in a directory, but for what was to become a lock: that goes when it is a minute old. */
async function leftIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => !/\.lock\.[0-9a-f-]{36}$/.test(name)).sort()
}

async function contentsOf(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true })
  return names.filter((name) => !name.startsWith('.slip')).sort()
}

const random = seededRandom('kills between two calls')

/** The calls the work makes when nobody ends it; undefined when it was ended. */
async function run(work: string, from: string, to: string, killAt: number): Promise<number | undefined> {
  const preload = new URL('./kill-preload.mjs', import.meta.url).href
  const child = spawn(
    process.execPath,
    ['--import', preload, join(import.meta.dirname, 'kill-child.mjs'), work, from, to],
    { env: { ...process.env, SLIP_KILL_AT: `${killAt}` }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on('close', (...ended) => resolve(ended))
  })
  if (signal === 'SIGKILL') return undefined
  expect(err).toBe('')
  expect(code).toBe(0)
  return Number(out)
}

/** Where to end the work: `KILLS` of its calls, spread over all of it. */
function places(calls: number): number[] {
  if (KILLS >= calls) return Array.from({ length: calls }, (_, i) => i + 1)
  const each = calls / KILLS
  return Array.from(
    { length: KILLS },
    (_, i) => 1 + Math.floor(i * each + random(Math.max(1, Math.floor(each)))),
  )
}

/** Ends the work at each place, and looks at what it left. */
async function atEachPlace(
  work: string,
  from: () => Promise<string>,
  look: (directory: string, to: string) => Promise<'nothing' | 'all'>,
): Promise<void> {
  const free = await scratch()
  const calls = await run(work, await from(), join(free, 'to'), 0)
  expect(await look(free, join(free, 'to'))).toBe('all')
  let nothing = 0
  let all = 0
  for (const killAt of places(calls!)) {
    const directory = await scratch()
    const ended = await run(work, await from(), join(directory, 'to'), killAt)
    const left = await look(directory, join(directory, 'to'))
    if (left === 'nothing') nothing++
    else all++
    // How many calls a run makes is not the same each time.
    if (ended !== undefined) expect(left, `ended by itself before call ${killAt}`).toBe('all')
  }
  console.log(`${work}: ${calls} calls, ${nothing + all} kills, ${nothing} left nothing and ${all} all of it`)
  expect(nothing).toBeGreaterThan(0)
}

async function artifactOf(location: SnapshotLocation, interchange: boolean): Promise<string> {
  const store = await filled(location)
  const artifact = join(await scratch(), 'artifact')
  await exportSnapshot(store, artifact, interchange ? { interchange: 1 } : {})
  await store.close()
  return artifact
}

const CASES: readonly (readonly [from: Backend, interchange: boolean, into: Backend])[] = [
  ['log', false, 'log'],
  ['lmdb', false, 'lmdb'],
  ['log', false, 'lmdb'],
  ['lmdb', false, 'log'],
  ['log', true, 'log'],
  ['log', true, 'lmdb'],
]

for (const [backend, interchange, into] of CASES)
  test(
    `an import of ${interchange ? 'an interchange artifact' : `an artifact of ${backend}`} into ${into}, ended before any call, leaves nothing or the fold`,
    { timeout: 3_600_000 },
    async () => {
      const source = PLACES[backend](join(await scratch(), 'source'))
      const artifact = await artifactOf(source, interchange)
      const store = await source.open()
      const wanted = { whole: whole(store), plain: plain(store) }
      await store.close()
      const look = async (directory: string, to: string): Promise<'nothing' | 'all'> => {
        const location = PLACES[into](to)
        const existed = await location.exists()
        if (!existed)
          // What was left is in nobody's way, and goes.
          await importSnapshot(artifact, location, { scratchDirectory: directory })
        const fold = await location.open()
        if (interchange) expect(plain(fold)).toEqual(wanted.plain)
        else expect(whole(fold)).toEqual(wanted.whole)
        await fold.close()
        if (!existed) expect(await leftIn(directory)).toEqual(['to'])
        return existed ? 'all' : 'nothing'
      }
      await atEachPlace(`import:${into}`, async () => artifact, look)
    },
  )

for (const [work, backend] of [
  ['export:log:native', 'log'],
  ['export:log:interchange', 'log'],
  ['export:lmdb:native', 'lmdb'],
] as const)
  test(
    `${work}, ended before any call, leaves no artifact or a whole one, and the next one clears up`,
    { timeout: 3_600_000 },
    async () => {
      const from = async (): Promise<string> => {
        const path = join(await scratch(), 'source')
        await (await filled(PLACES[backend](path))).close()
        return path
      }
      const look = async (directory: string, to: string): Promise<'nothing' | 'all'> => {
        const there = await verifyArtifact(to).then(
          () => true,
          (error: unknown) => {
            if ((error as { code?: unknown }).code !== 'NotFound') throw error
            return false
          },
        )
        const store = await PLACES.log(join(await scratch(), 'other')).open()
        await exportSnapshot(store, join(directory, 'next'))
        await store.close()
        expect(await leftIn(directory)).toEqual(there ? ['next', 'to'] : ['next'])
        return there ? 'all' : 'nothing'
      }
      await atEachPlace(work, from, look)
    },
  )

for (const backend of ['log', 'lmdb'] as const)
  test(
    `a download of an artifact of ${backend}, ended before any call, leaves nothing or the artifact; the next one goes on and clears up, and the fold is whole`,
    { timeout: 3_600_000 },
    async () => {
      const source = PLACES[backend](join(await scratch(), 'source'))
      const artifact = await artifactOf(source, false)
      const objects = await scratch()
      await publishArtifact(artifact, directoryObjects(objects), 'routes')
      const published = await contentsOf(objects)
      const store = await source.open()
      const wanted = whole(store)
      await store.close()
      const look = async (directory: string, to: string): Promise<'nothing' | 'all'> => {
        const there = await verifyArtifact(to).then(
          () => true,
          (error: unknown) => {
            if ((error as { code?: unknown }).code !== 'NotFound') throw error
            return false
          },
        )
        if (!there) await downloadArtifact(directoryObjects(objects), 'routes', to)
        await downloadArtifact(directoryObjects(objects), 'routes', join(directory, 'next'))
        expect(await leftIn(directory)).toEqual(['next', 'to'])
        expect(await contentsOf(objects)).toEqual(published)
        const into = PLACES[backend](join(await scratch(), 'fold'))
        await importSnapshot(to, into)
        const fold = await into.open()
        expect(whole(fold)).toEqual(wanted)
        await fold.close()
        return there ? 'all' : 'nothing'
      }
      await atEachPlace('download', async () => objects, look)
    },
  )

test('a stage that is in use is not cleared up', async () => {
  const directory = await scratch()
  const store = await filled(appendLog({ path: join(directory, 'source') }))
  let go: () => void = () => undefined
  const slow = {
    cursor: store.cursor,
    lineage: store.lineage,
    entries: () => store.entries(),
    payload: store.payload!,
    copyTo: async (to: string) => {
      const copied = await store.copyTo!(to)
      await new Promise<void>((resolve) => {
        go = resolve
      })
      return copied
    },
  }
  const exporting = exportSnapshot(slow, join(directory, 'slow'))
  await expect.poll(async () => (await readdir(directory)).join()).toContain('slow.slip-staging')
  await exportSnapshot(store, join(directory, 'quick'))
  await expect(exportSnapshot(store, join(directory, 'slow'))).rejects.toMatchObject({ code: 'Busy' })
  await expect
    .poll(async () => readdir(join(directory, 'slow.slip-staging/data')).catch(() => []))
    .toEqual(['fold.slip'])
  go()
  await exporting
  await store.close()
  expect((await readdir(directory)).sort()).toEqual(['quick', 'slow', 'source'])
  expect((await readdir(join(directory, 'slow'))).sort()).toEqual([MANIFEST_FILE, 'data'])
})

test('a stage that a process left is cleared up by an export to another name', async () => {
  const directory = await scratch()
  await mkdir(join(directory, 'dead.slip-staging/data'), { recursive: true })
  const store = await filled(appendLog({ path: join(directory, 'source') }))
  await exportSnapshot(store, join(directory, 'next'))
  await store.close()
  expect((await readdir(directory)).sort()).toEqual(['next', 'source'])
})

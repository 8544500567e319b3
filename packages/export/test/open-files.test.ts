import { readdirSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KvError, type ObjectStore } from '@slip/kv-core'
import {
  directoryObjects,
  downloadArtifact,
  exportSnapshot,
  importSnapshot,
  publishArtifact,
  runExportRound,
  verifyArtifact,
} from '@slip/export'
import { MemoryConnection } from '@slip/memory'
import { expect, test } from 'vitest'
import { filled, PLACES } from './folds.ts'
import { overStore } from './remote.ts'
import { scratch } from './scratch.ts'

const TIMES = 4

const openFiles = (): number => readdirSync('/proc/self/fd').length

/** A copy of an artifact whose payload was changed. */
async function bent(artifact: string, change: (path: string) => Promise<void>): Promise<string> {
  const copy = join(await scratch(), 'bent')
  await cp(artifact, copy, { recursive: true })
  const [name] = await readdir(join(copy, 'data'))
  await change(join(copy, 'data', name!))
  return copy
}

async function flipped(path: string): Promise<void> {
  const bytes = await readFile(path)
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  await writeFile(path, bytes)
}

/** Whose objects end in the middle, or cannot be put. */
function failing(to: ObjectStore): ObjectStore {
  return overStore(to, {
    put: async (name, body, options) => {
      if (/payloads|parts/.test(name) && !(body instanceof Uint8Array)) {
        for await (const _ of body) break
        throw new KvError('PermissionDenied', 'gone')
      }
      return to.put(name, body, options)
    },
    get: async (name, options) => {
      const found = await to.get(name, options)
      if (found === undefined || /manifest|slip/.test(name)) return found
      return { ...found, body: broken(found.body) }
    },
  })
}

async function* broken(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    yield piece.subarray(0, 1)
    throw new KvError('PermissionDenied', 'no more of it')
  }
}

/** What fails at each step of an artifact's way, by name. */
async function failures(
  place: (typeof PLACES)[number][1],
): Promise<Readonly<Record<string, () => Promise<unknown>>>> {
  const store = await filled(place(join(await scratch(), 'source')))
  const closed = await filled(place(join(await scratch(), 'closed')))
  await closed.close()
  const made: Record<'copy' | 'records', string> = { copy: '', records: '' }
  for (const layout of ['copy', 'records'] as const) {
    made[layout] = join(await scratch(), layout)
    await exportSnapshot(store, made[layout], { layout })
  }
  await store.close()
  const full = await scratch()
  await writeFile(join(full, 'mine'), '')
  const objects = directoryObjects(await scratch())
  for (const layout of ['copy', 'records'] as const) await publishArtifact(made[layout], objects, layout)
  const leases = await new MemoryConnection().store('leases', {})
  const there = join(await scratch(), 'there')
  await (await filled(place(there))).close()
  const into = async (): Promise<ReturnType<typeof place>> => place(join(await scratch(), 'new'))
  const found: Record<string, () => Promise<unknown>> = {
    'export of a closed store': async () => exportSnapshot(closed, join(await scratch(), 'a')),
    'export over something': async () => exportSnapshot(closed, full),
    'import over a fold': async () => importSnapshot(made.copy, place(there)),
    'a round': async () =>
      runExportRound({
        store: closed,
        lease: { bucket: leases, key: 'lease', holderId: 'me', ttlMs: 1_000 },
        to: objects,
        name: 'round',
      }),
  }
  for (const layout of ['copy', 'records'] as const) {
    const artifact = made[layout]
    const ways = {
      flipped: await bent(artifact, flipped),
      short: await bent(artifact, async (path) => truncate(path, 40)),
    }
    for (const [way, directory] of Object.entries(ways)) {
      found[`verify of ${layout}, ${way}`] = async () => verifyArtifact(directory)
      found[`import of ${layout}, ${way}`] = async () => importSnapshot(directory, await into())
      found[`publish of ${layout}, ${way}`] = async () =>
        publishArtifact(directory, objects, `${layout}-${way}`)
    }
    found[`publish of ${layout} to what fails`] = async () =>
      publishArtifact(artifact, failing(directoryObjects(await scratch())), layout)
    found[`download of ${layout} that breaks`] = async () =>
      downloadArtifact(failing(objects), layout, join(await scratch(), 'down'))
    found[`import of ${layout} that is aborted`] = async () => {
      const stop = new AbortController()
      return importSnapshot(artifact, await into(), { signal: stop.signal, onProgress: () => stop.abort() })
    }
    found[`download of ${layout} into a place that is taken`] = async () => {
      const taken = join(await scratch(), 'taken')
      await mkdir(taken)
      await writeFile(join(taken, 'mine'), '')
      return downloadArtifact(objects, layout, taken)
    }
  }
  return found
}

test.skipIf(process.platform !== 'linux').each(PLACES)(
  'work with artifacts of %s that fails leaves no file open',
  async (_, place) => {
    for (const [what, fails] of Object.entries(await failures(place))) {
      await expect(fails(), what).rejects.toThrow()
      const before = openFiles()
      for (let i = 0; i < TIMES; i++) await expect(fails(), what).rejects.toThrow()
      expect(openFiles() - before, what).toBeLessThanOrEqual(0)
    }
  },
)

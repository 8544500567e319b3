import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SnapshotError, type SnapshotLocation, type SnapshotStore } from '@slip/kv-core'
import { override } from './override.ts'
import { header } from './reference-log.ts'
import { referenceLocation } from './reference-store.ts'

/** Stores that are wrong in one way, for the processes that the kit starts: the URL's query names one. */
export const brokenChildren: Readonly<Record<string, (path: string) => SnapshotLocation>> = {
  'believes every line that it can read': mending((lines) => lines.flatMap(resealed)),
  'keeps half of a torn commit': mending((lines) => {
    const last = lines.at(-1)!
    if (resealed(last).length > 0) return lines
    const updates = last.match(/\\?\["(put|delete|purge)","[^"]*","[^"]*","[^"]*"\]/g) ?? []
    const cursor = /"cursor":"([^"]*)"/.exec(lines.at(-2) ?? '')?.[1] ?? ''
    return [...lines.slice(0, -1), sealed(`{"updates":[${updates.join(',')}],"cursor":"${cursor}"}`)]
  }),
  'starts anew over what it cannot read': onRefusal(async (path) => rm(path)),
  'cuts off what it cannot read and refuses': onRefusal(async (path, error) => {
    await truncate(path)
    throw error
  }),
  'dies of damage': onRefusal(async () => {
    process.kill(process.pid, 'SIGBUS')
    await new Promise(() => {})
  }),
  'dies when it reads': differing(() => ({
    range: () => {
      process.kill(process.pid, 'SIGBUS')
      throw new RangeError('the signal comes before this')
    },
  })),
  'throws what it was thrown': onRefusal(async (_path, error) => {
    throw new Error('unexpected token in line 7', { cause: error })
  }),
  'goes on after damage with what it loses at once': differing((store) => ({
    apply: (...update) => (store.recovery === undefined ? store.apply(...update) : Promise.resolve()),
  })),
  'takes the old fold away before it puts the new one there': differing((store, path) => ({
    stage: async () => {
      const staged = await store.stage!()
      return override(staged, {
        commit: async () => {
          await rm(path)
          await sleep(25)
          await staged.commit()
        },
      })
    },
  })),
  'writes the cursor, and a moment later its data': differing((store) => ({
    apply: async (batch, cursor, options) => {
      await store.apply([], cursor, options)
      await sleep(2)
      await store.apply(batch, cursor)
    },
  })),
  'writes nothing before it is synced': differing((store) => {
    const waiting: Parameters<SnapshotStore['apply']>[] = []
    return {
      apply: async (...update) => void waiting.push(update),
      sync: async () => {
        for (const update of waiting.splice(0)) await store.apply(...update)
        return store.sync()
      },
    }
  }),
  'takes a fold that another process has open': opening(async (open, path) => {
    await rm(`${path}.lock`, { force: true })
    return open()
  }),
  'says yes to what did not fit': applying(async (apply) => apply().catch(() => {})),
  'ends its process when a write fails': applying(async (apply) => apply().catch(() => process.exit(7))),
  'throws what the system threw': applying(async (apply) =>
    apply().catch((error: Error) => {
      throw error.cause ?? error
    }),
  ),
  'keeps its lineage in a file of its own, and does without': (path) => {
    const location = referenceLocation(join(path, 'fold'))
    const side = join(path, 'lineage')
    return {
      ...location,
      open: async () => {
        await mkdir(path, { recursive: true })
        const store = await location.open()
        let lineage: Uint8Array | undefined = await readFile(side).catch(() => undefined)
        return override(store, {
          get lineage() {
            return lineage
          },
          apply: async (batch, cursor, options) => {
            await store.apply(batch, cursor, options)
            if (options?.lineage === undefined) return
            await writeFile(side, options.lineage)
            lineage = options.lineage
          },
        })
      },
    }
  },
}

export default (path: string): SnapshotLocation => {
  const name = new URL(import.meta.url).searchParams.get('store') ?? ''
  const broken = brokenChildren[name]
  if (broken === undefined) throw new RangeError(`there is no broken store ${name}`)
  return broken(path)
}

type Broken = (path: string) => SnapshotLocation

/** Opens the honest store in its own way. */
function opening(
  open: (honest: () => Promise<SnapshotStore>, path: string) => Promise<SnapshotStore>,
): Broken {
  return (path) => {
    const location = referenceLocation(path)
    return { ...location, open: async () => open(async () => location.open(), path) }
  }
}

/** Has something of its own in the place of parts of the honest store. */
function differing(parts: (store: SnapshotStore, path: string) => Partial<SnapshotStore>): Broken {
  return opening(async (open, path) => {
    const store = await open()
    return override(store, parts(store, path))
  })
}

/** Repairs the lines of the file in its own way before it opens it. */
function mending(mend: (lines: readonly string[]) => readonly string[]): Broken {
  return opening(async (open, path) => {
    const [first, ...lines] = (await readFile(path, 'utf8').catch(() => '')).split('\n')
    if (`${first}\n` === header() && lines.length > 1) {
      const kept = lines.at(-1) === '' ? lines.slice(0, -1) : lines
      await writeFile(path, [first, ...mend(kept), ''].join('\n'))
    }
    return open()
  })
}

/** Does something of its own where the honest store refuses, and then opens. */
function onRefusal(then: (path: string, error: SnapshotError) => Promise<void>): Broken {
  return opening(async (open, path) => {
    try {
      return await open()
    } catch (error) {
      if (!SnapshotError.is(error) || error.code === 'Busy') throw error
      await then(path, error)
      return open()
    }
  })
}

/** Applies in its own way. */
function applying(wrap: (apply: () => Promise<void>) => Promise<void>): Broken {
  return differing((store) => ({ apply: (...update) => wrap(() => store.apply(...update)) }))
}

function resealed(line: string): string[] {
  const body = line.slice(17)
  try {
    JSON.parse(body)
    return [sealed(body)]
  } catch {
    return []
  }
}

function sealed(body: string): string {
  return `${createHash('sha256').update(body).digest('hex').slice(0, 16)} ${body}`
}

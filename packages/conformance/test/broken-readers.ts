import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { ProcessReader } from '@slip/conformance'
import { SnapshotError, type KvUpdate, type SnapshotLocation } from '@slip/kv-core'
import { override } from './override.ts'
import { ReferenceReader } from './reference-reader.ts'
import { referenceLocation } from './reference-store.ts'

/** More openings than a process needs that stays. */
const OPENINGS_TO_FAULT = 4

let openings = 0
let kept: ProcessReader | undefined

/** Readers that are wrong in one way: the URL's query names one. */
const BROKEN: Readonly<Record<string, (path: string) => ProcessReader>> = {
  'shows one commit and reads another': (path) => {
    const reader = new ReferenceReader(path)
    let shown = reader.cursor
    return override<ProcessReader>(reader, {
      range: (prefix, options) => {
        reader.refresh()
        return reader.range(prefix, options)
      },
      get cursor() {
        return shown
      },
      refresh: () => (shown = reader.refresh()),
    })
  },
  'goes back to an older copy now and then': (path) => {
    let reader = new ReferenceReader(path)
    let older = reader
    let looks = 0
    return override<ProcessReader>(reader, {
      refresh: () => {
        if (++looks % 5 > 0) [older, reader] = [reader, new ReferenceReader(path)]
        else reader = older
        return reader.cursor
      },
      get cursor() {
        return reader.cursor
      },
      range: (...args) => reader.range(...args),
      get: (...args) => reader.get(...args),
      getMany: (...args) => reader.getMany(...args),
    })
  },
  'sets the writer back by a commit when it opens': (path) => {
    if (++openings % OPENINGS_TO_FAULT === 0) writeFileSync(`${path}.back`, '')
    return new ReferenceReader(path)
  },
  'opens an older copy now and then': (path) => {
    const reader = new ReferenceReader(path)
    const nth = ++openings % OPENINGS_TO_FAULT
    if (nth === 1) kept = reader
    return nth === 0 ? kept! : reader
  },
  'keeps something of each opening until there is no more': (path) => {
    if (++openings > OPENINGS_TO_FAULT) throw new SnapshotError('Io', 'too many open files')
    return new ReferenceReader(path)
  },
  'waits for nothing': (path) =>
    override<ProcessReader>(new ReferenceReader(path), { waitFor: async () => {} }),
  'leaves a mark that only its close takes away': (path) => {
    writeFileSync(`${path}.reader-${process.pid}`, '')
    return new ReferenceReader(path)
  },
  'makes a fold where there is none': (path) => {
    writeFileSync(path, '', { flag: 'a' })
    return new ReferenceReader(path)
  },
}

/** A store that takes no more than three readers, alive or dead. */
export function countingReaders(path: string): SnapshotLocation {
  const location = referenceLocation(path)
  const marks = (): number =>
    readdirSync(dirname(path)).filter((name) => name.startsWith(`${basename(path)}.reader-`)).length
  return {
    ...location,
    open: async () => {
      const store = await location.open()
      return override(store, {
        apply: async (...update) => {
          if (marks() > 3) throw new SnapshotError('Io', 'too many readers')
          await store.apply(...update)
        },
      })
    },
  }
}

/** A store whose next commit is made on top of the one before the last, where a reader has said so. */
export function setBackByReaders(path: string): SnapshotLocation {
  const location = referenceLocation(path)
  const mark = `${path}.back`
  const setBack = (): boolean => {
    const asked = existsSync(mark)
    rmSync(mark, { force: true })
    return asked
  }
  return {
    ...location,
    open: async () => {
      const store = await location.open()
      let undoLast: readonly KvUpdate[] = []
      return override(store, {
        apply: async (batch, cursor, options) => {
          const undone = setBack() ? undoLast : []
          undoLast = batch.map(({ key, version }): KvUpdate => {
            const before = store.get(key)
            return before === undefined
              ? { operation: 'delete', key, version }
              : { operation: 'put', ...before }
          })
          await store.apply([...undone, ...batch], cursor, options)
        },
      })
    },
  }
}

export default async (path: string): Promise<ProcessReader> => {
  const name = new URL(import.meta.url).searchParams.get('reader') ?? ''
  const broken = BROKEN[name]
  if (broken === undefined) throw new RangeError(`there is no broken reader ${name}`)
  return broken(path)
}

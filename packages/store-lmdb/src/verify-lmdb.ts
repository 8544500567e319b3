import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotError, WatchCursor, type WaitOptions } from '@slip/kv-core'
import { canonicalPath, currentHolder, nodeFileSystem, systemCode } from '@slip/kv-core/store-parts'
import { checkFile } from './file-check.ts'
import { readCurrent } from './fold-directory.ts'
import { GENERATION } from './fold-state.ts'
import { LmdbReader, type CheckedCommit } from './lmdb-reader.ts'
import { asIo } from './io-error.ts'

/** What `verifyLmdb` found. */
export type LmdbVerdict =
  | {
      readonly verdict: 'intact'
      readonly generation: number
      readonly cursor: WatchCursor
      readonly entries: number
      readonly deletedKeys: number
      /** Of the file. */
      readonly bytes: number
    }
  | {
      readonly verdict: 'corrupt' | 'foreign'
      readonly what: string
      readonly at: number | undefined
      /** Of the file, where there is one. */
      readonly bytes: number | undefined
    }
  | { readonly verdict: 'missing' }

const ATTEMPTS = 5

/**
 * Reads every page and every record of the fold at `path`, without its lock. Where nobody writes to it the
 * file is not mapped; beside a writer a read transaction keeps one commit in place. A directory that a crash
 * left before its first file was complete is an empty fold. SnapshotError `Io` when it cannot be read.
 */
export async function verifyLmdb(path: string, options: WaitOptions = {}): Promise<LmdbVerdict> {
  let file: string | undefined
  try {
    const directory = await canonicalPath(nodeFileSystem, path, false)
    for (let attempt = 1; ; attempt++) {
      const current = await readCurrent(directory)
      if (current === undefined) return await withoutFile(directory)
      file = join(directory, current.name)
      try {
        return await verdictOf(directory, file, current.foldId, options)
      } catch (error) {
        // It was replaced since CURRENT was read.
        if (!(SnapshotError.is(error) && error.code === 'NotFound') || attempt >= ATTEMPTS) throw error
      }
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { verdict: 'missing' }
    if (!SnapshotError.is(error))
      throw options.signal?.aborted === true ? error : asIo(error, 'reading', path)
    const { code, message, at } = error
    const bytes = file === undefined ? undefined : await sizeOf(file)
    if (code === 'InvalidFormat' || code === 'ForeignFold')
      return { verdict: 'foreign', what: message, at: at ?? 0, bytes }
    // CURRENT names a file that is not there.
    if (code === 'Corrupted' || code === 'NotFound') return { verdict: 'corrupt', what: message, at, bytes }
    throw error
  }
}

async function verdictOf(
  directory: string,
  file: string,
  foldId: Uint8Array,
  options: WaitOptions,
): Promise<LmdbVerdict> {
  const state = await stateOf(directory, file, options)
  if (Buffer.compare(state.foldId, foldId) !== 0)
    throw new SnapshotError('ForeignFold', `${file} belongs to another fold`, { path: file })
  const { cursor, entries, deletedKeys } = state
  const bytes = (await sizeOf(file)) ?? 0
  return { verdict: 'intact', generation: GENERATION, cursor, entries, deletedKeys, bytes }
}

async function stateOf(directory: string, file: string, { signal }: WaitOptions): Promise<CheckedCommit> {
  const before = await writesTo(directory, file)
  if (!before.held) {
    const alone = await checkFile(file, 'records', { named: true, signal }).then(
      (state) => ({ state }),
      (error: unknown) => ({ error }),
    )
    const after = await writesTo(directory, file)
    if (!after.held && after.lastMs === before.lastMs) {
      if ('error' in alone) throw alone.error
      return alone.state
    }
  }
  // What was read while somebody wrote proves nothing, neither damage nor its absence.
  const reader = await LmdbReader.open({ path: directory })
  try {
    return await reader.check(signal === undefined ? {} : { signal })
  } finally {
    await reader.close()
  }
}

async function writesTo(
  directory: string,
  file: string,
): Promise<{ readonly held: boolean; readonly lastMs: number | undefined }> {
  const [holder, facts] = await Promise.all([
    currentHolder(nodeFileSystem, directory),
    stat(file).catch(() => undefined),
  ])
  return { held: holder !== undefined, lastMs: facts?.mtimeMs }
}

async function withoutFile(directory: string): Promise<LmdbVerdict> {
  const there = await stat(directory).catch(() => undefined)
  if (there === undefined) return { verdict: 'missing' }
  const cursor = WatchCursor.none
  return { verdict: 'intact', generation: GENERATION, cursor, entries: 0, deletedKeys: 0, bytes: 0 }
}

async function sizeOf(file: string): Promise<number | undefined> {
  return stat(file).then(
    ({ size }) => size,
    () => undefined,
  )
}

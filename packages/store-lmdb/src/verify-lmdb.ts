import { join } from 'node:path'
import { SnapshotError, type WaitOptions, type WatchCursor } from '@slip/kv-core'
import { systemCode } from '@slip/kv-core/store-parts'
import { checkFile } from './file-check.ts'
import { canonicalDirectory, readCurrent } from './fold-directory.ts'
import { asIo } from './open-directory.ts'

/** What `verifyLmdb` found. */
export type LmdbVerdict =
  | {
      readonly verdict: 'intact'
      readonly cursor: WatchCursor
      readonly entries: number
      readonly deletedKeys: number
    }
  | { readonly verdict: 'corrupt' | 'foreign'; readonly what: string; readonly at: number | undefined }
  | { readonly verdict: 'missing' }

/**
 * Reads every page and every record of the fold at `path`, without mapping it and without its lock.
 * Nobody may be writing to it. SnapshotError `Io` when it cannot be read.
 */
export async function verifyLmdb(path: string, options: WaitOptions = {}): Promise<LmdbVerdict> {
  try {
    const directory = await canonicalDirectory(path, false)
    const current = await readCurrent(directory)
    if (current === undefined) return { verdict: 'missing' }
    const state = await checkFile(join(directory, current.name), 'records', {
      named: true,
      signal: options.signal,
    })
    if (Buffer.compare(state.foldId, current.foldId) !== 0)
      return { verdict: 'foreign', what: `${path} holds the file of another fold`, at: 0 }
    const { cursor, entries, deletedKeys } = state
    return { verdict: 'intact', cursor, entries, deletedKeys }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { verdict: 'missing' }
    if (!SnapshotError.is(error))
      throw options.signal?.aborted === true ? error : asIo(error, 'reading', path)
    const { code, message, at } = error
    if (code === 'Corrupted') return { verdict: 'corrupt', what: message, at }
    if (code === 'InvalidFormat') return { verdict: 'foreign', what: message, at }
    // CURRENT names a file that is not there.
    if (code === 'NotFound') return { verdict: 'corrupt', what: message, at }
    throw error
  }
}

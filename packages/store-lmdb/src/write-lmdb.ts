import { rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  SnapshotError,
  WatchCursor,
  type FoldReader,
  type KvUpdate,
  type ListedKey,
  type WaitOptions,
} from '@slip/kv-core'
import { nodeFileSystem, systemCode, WriterLock } from '@slip/kv-core/store-parts'
import { canonicalDirectory, isOccupied } from './fold-directory.ts'
import { LmdbSnapshot } from './lmdb-snapshot.ts'
import { asIo } from './io-error.ts'

/** What `writeLmdb` copies: a fold that does not change meanwhile, such as a view or a reader. */
export interface FoldSource extends Pick<FoldReader, 'entries' | 'cursor'> {
  readonly lineage?: Uint8Array | undefined
  deletedKeys?(): Iterable<ListedKey>
}

const BATCH_UPDATES = 4_096
const BATCH_BYTES = 4 * 1024 * 1024

/**
 * Writes a fold as a new one in LMDB. It is whole and synced when it appears. SnapshotError `AlreadyExists`
 * when there is something at `path`, `LimitExceeded` for what it cannot hold; a failure leaves nothing.
 */
export async function writeLmdb(
  path: string,
  source: FoldSource,
  options: WaitOptions = {},
): Promise<{ readonly entries: number; readonly bytes: number }> {
  let lock: WriterLock | undefined
  let draft: string | undefined
  try {
    const directory = await canonicalDirectory(path, true)
    lock = await WriterLock.take(nodeFileSystem, directory, { signal: options.signal })
    if (await isOccupied(directory)) throw alreadyExists(directory)
    draft = `${directory}.writing`
    await rm(draft, { recursive: true, force: true })
    const stats = await fill(draft, source, options.signal)
    try {
      await rename(draft, directory)
    } catch (error) {
      if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw alreadyExists(directory)
      throw error
    }
    await nodeFileSystem.syncDirectory(dirname(directory))
    return stats
  } catch (error) {
    if (options.signal?.aborted === true && error === options.signal.reason) throw error
    throw asIo(error, 'writing', path)
  } finally {
    if (draft !== undefined) await rm(draft, { recursive: true, force: true }).catch(() => undefined)
    await lock?.release()
  }
}

async function fill(
  path: string,
  source: FoldSource,
  signal: AbortSignal | undefined,
): Promise<{ readonly entries: number; readonly bytes: number }> {
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  try {
    for (const batch of batches(source)) {
      signal?.throwIfAborted()
      await store.apply(batch, WatchCursor.none)
    }
    const { cursor, lineage } = source
    await store.apply([], cursor, lineage === undefined ? {} : { lineage })
    const { entries, bytes } = store.stats
    return { entries, bytes }
  } finally {
    await store.close()
  }
}

function* batches(source: FoldSource): Generator<readonly KvUpdate[]> {
  let batch: KvUpdate[] = []
  let bytes = 0
  for (const update of updates(source)) {
    batch.push(update)
    bytes += update.key.length + (update.operation === 'put' ? update.value.length : 0)
    if (batch.length < BATCH_UPDATES && bytes < BATCH_BYTES) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}

function* updates(source: FoldSource): Generator<KvUpdate> {
  for (const entry of source.entries()) yield { operation: 'put', ...entry }
  for (const { key, version } of source.deletedKeys?.() ?? []) yield { operation: 'delete', key, version }
}

function alreadyExists(path: string): SnapshotError {
  return new SnapshotError('AlreadyExists', `there is something at ${path} already`, { path })
}

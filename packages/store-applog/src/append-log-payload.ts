import { join } from 'node:path'
import { Slices, SnapshotError, type FoldFacts, type KvUpdate, type PayloadFormat } from '@slip/kv-core'
import { nodeFileSystem, systemCode, type FileSystem, type LogHandle } from '@slip/kv-core/store-parts'
import { loadNativeCrc32c } from './crc32c.ts'
import { damageError, loadLog, type FoldSink } from './load-log.ts'
import { asIo } from './log-file.ts'
import { GENERATION_2_HEADER, HEADER_3_BYTES, identify, type Generation } from './log-header.ts'
import { readEntry, readKey, readVersion } from './memory/entry-reader.ts'
import type { RecordRun } from './memory/record-run.ts'
import { recordIsPut, recordLengthOf } from './record.ts'
import { scanGeneration2 } from './recovery-2.ts'
import { scanGeneration3 } from './recovery-3.ts'
import { scanFile } from './run-scan.ts'

/** What `copyTo` calls its file. */
export const COPY_NAME: Record<Generation, string> = { 2: 'fold.snap', 3: 'fold.slip' }

const MOST_UPDATES = 1024
const MOST_BYTES = 1024 * 1024

/** A compacted log as the payload of an artifact: one file of generation 2 or 3. */
export const appendLogPayload: PayloadFormat = {
  backend: 'append-log',
  layouts: { 2: [COPY_NAME[2]], 3: [COPY_NAME[3]] },
  check: async (directory, version, { signal } = {}) =>
    checkCopy(nodeFileSystem, copyPath(directory, version), generationOf(version), signal),
  updates: async (directory, version, take, { signal } = {}) =>
    readUpdates(copyPath(directory, version), take, signal),
}

/** `RangeError` for a version that is no generation. */
export function generationOf(version: string): Generation {
  if (version === '2') return 2
  if (version === '3') return 3
  throw new RangeError(`an append log has no generation ${version}`)
}

/** Reads all of a file that has to be a whole log of this generation. SnapshotError `Corrupted`, `InvalidFormat`, `Io`. */
export async function checkCopy(
  files: FileSystem,
  path: string,
  generation: Generation,
  signal: AbortSignal | undefined,
): Promise<FoldFacts> {
  await loadNativeCrc32c()
  return withFile(files, path, async (file) => {
    const { size } = await file.stat()
    const puts = new PutCount()
    const loaded = await loadLog(file, path, () => puts, { size, signal })
    if (loaded.verdict.verdict === 'corrupt') throw damageError(loaded.verdict, path)
    if (loaded.verdict.verdict === 'torn' || loaded.generation === undefined)
      throw new SnapshotError('Corrupted', `${path} is cut short`, { path, at: loaded.verdict.at })
    if (loaded.generation !== generation)
      throw new SnapshotError('InvalidFormat', `${path} is of generation ${loaded.generation}`, {
        path,
        at: 0,
      })
    return { cursor: loaded.cursor, lineage: loaded.lineage, entries: puts.count }
  })
}

class PutCount implements FoldSink {
  readonly hash = undefined
  count = 0

  reserve(): void {
    // Nothing is kept.
  }

  putRun(bytes: Uint8Array, run: RecordRun): void {
    let at = run.from
    for (let i = 0; i < run.count; i++) {
      if (recordIsPut(bytes, at)) this.count++
      at += run.lengths[i]!
    }
  }
}

function copyPath(directory: string, version: string): string {
  return join(directory, COPY_NAME[generationOf(version)])
}

async function readUpdates(
  path: string,
  take: (updates: readonly KvUpdate[]) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  await loadNativeCrc32c()
  await withFile(nodeFileSystem, path, async (file) => {
    const { size } = await file.stat()
    const start = new Uint8Array(Math.min(size, HEADER_3_BYTES))
    await file.read(start, 0, start.length, 0)
    const kind = identify(start, size)
    if (kind.kind === 'empty') return
    const scan =
      kind.kind === 'generation3'
        ? scanGeneration3(kind.header, HEADER_3_BYTES, size)
        : scanGeneration2(GENERATION_2_HEADER.length, size)
    const sink = {
      records: async (bytes: Uint8Array, from: number, to: number) => {
        for (let at = from; at < to;) {
          const { updates, end } = decode(bytes, at, to)
          await take(updates)
          at = end
        }
      },
      commit: () => undefined,
    }
    const verdict = await scanFile(scan, file, size, sink, new Slices('applog.updates'), { signal })
    if (verdict.verdict !== 'intact')
      throw new SnapshotError('Corrupted', `${path} changed since it was checked`, { path, at: verdict.at })
  })
}

function decode(
  bytes: Uint8Array,
  from: number,
  to: number,
): { readonly updates: readonly KvUpdate[]; readonly end: number } {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const updates: KvUpdate[] = []
  let at = from
  while (at < to && updates.length < MOST_UPDATES && at - from < MOST_BYTES) {
    const key = readKey(source, at)
    updates.push(
      recordIsPut(source, at)
        ? { operation: 'put', ...readEntry(source, at, key) }
        : { operation: 'delete', key, version: readVersion(source, at) },
    )
    at += recordLengthOf(source, at)
  }
  return { updates, end: at }
}

async function withFile<R>(
  files: FileSystem,
  path: string,
  work: (file: LogHandle) => Promise<R>,
): Promise<R> {
  const file = await files.open(path, 'read').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT')
      throw new SnapshotError('NotFound', `there is no log at ${path}`, { path, cause: error })
    throw asIo(error, 'opening', path)
  })
  try {
    return await work(file)
  } finally {
    await file.close().catch(() => undefined)
  }
}

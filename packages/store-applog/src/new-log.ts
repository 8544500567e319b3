import { dirname, join } from 'node:path'
import {
  SnapshotError,
  type FoldUpdates,
  type PayloadFile,
  type ReceiveOptions,
  type WaitOptions,
} from '@slip/kv-core'
import { systemCode, type FileSystem, type LogHandle } from '@slip/kv-core/store-parts'
import type { AppendLogOptions } from './append-log-options.ts'
import { checkCopy, COPY_NAME } from './append-log-payload.ts'
import { LogDraft, removeIfThere } from './log-draft.ts'
import { writeFully } from './log-file.ts'
import type { Generation } from './log-header.ts'
import { DRAFT_SUFFIX } from './log-path.ts'
import { alreadyExists, isThere, withLockedLog } from './locked-path.ts'
import { UpdateWriter } from './update-writer.ts'

const STRETCH_BYTES = 1024 * 1024

/**
 * Makes a log of the one file of a copy: written beside the log's path, read back, shown to `admit`,
 * and linked to its name. A crash on the way leaves only a file that the next opener removes.
 */
export async function receiveLog(
  files: FileSystem,
  options: AppendLogOptions,
  payload: readonly PayloadFile[],
  { admit, ...wait }: ReceiveOptions,
): Promise<void> {
  const { file, generation } = onlyLog(payload)
  await withLockedLog(files, options, wait, async (path) => {
    if (await isThere(files, path)) throw alreadyExists(path)
    const draft = `${path}${DRAFT_SUFFIX.adoption}`
    try {
      await writeFile(files, draft, file, wait.signal)
      const facts = await checkCopy(files, draft, generation, wait.signal)
      admit?.(facts)
      await files.link(draft, path)
    } catch (error) {
      if (systemCode(error) === 'EEXIST') throw alreadyExists(path)
      throw error
    } finally {
      await removeIfThere(files, draft).catch(() => undefined)
    }
    await files.syncDirectory(dirname(path))
  })
}

/** The same of the one log in `directory`. */
export async function adoptLog(
  files: FileSystem,
  options: AppendLogOptions,
  directory: string,
  wait: WaitOptions,
): Promise<void> {
  const names = await files.readdir(directory).catch((cause: unknown) => {
    throw new SnapshotError('Io', `${directory} cannot be read`, { path: directory, cause })
  })
  const found = Object.values(COPY_NAME).filter((name) => names.includes(name))
  if (found.length !== 1)
    throw new SnapshotError('InvalidFormat', `${directory} does not hold exactly one log`, {
      path: directory,
      at: 0,
    })
  const path = join(directory, found[0]!)
  const handle = await files.open(path, 'read')
  try {
    const { size } = await handle.stat()
    await receiveLog(
      files,
      options,
      [{ name: found[0]!, size, read: () => stretches(handle, path, size) }],
      wait,
    )
  } finally {
    await handle.close().catch(() => undefined)
  }
}

/** Makes a log of updates; generation 2 keeps no lineage. */
export async function createLog(
  files: FileSystem,
  options: AppendLogOptions,
  fold: FoldUpdates,
  wait: WaitOptions,
): Promise<void> {
  await withLockedLog(files, options, wait, async (path) => {
    await writeLog(files, path, options.format ?? 3, fold, wait)
  })
}

/** Writes a log to `path`, which must be free; `puts` is how many there were among the updates. */
export async function writeLog(
  files: FileSystem,
  path: string,
  generation: Generation,
  fold: FoldUpdates,
  { signal }: WaitOptions,
): Promise<{ readonly puts: number; readonly bytes: number }> {
  if (await isThere(files, path)) throw alreadyExists(path)
  const draft = await LogDraft.create(files, `${path}${DRAFT_SUFFIX.adoption}`, generation)
  let puts = 0
  try {
    const writer = new UpdateWriter(draft)
    await fold.read(async (updates) => {
      signal?.throwIfAborted()
      for (const update of updates) {
        if (update.operation === 'put') puts++
        await writer.add(update)
      }
    })
    await draft.finishBase(fold.cursor.toBytes(), generation === 3 ? fold.lineage : undefined)
    await draft.seal()
  } catch (error) {
    await draft.discard()
    throw error
  }
  const bytes = draft.end
  if (!(await draft.publishNew(path))) throw alreadyExists(path)
  return { puts, bytes }
}

function onlyLog(payload: readonly PayloadFile[]): {
  readonly file: PayloadFile
  readonly generation: Generation
} {
  const [file] = payload
  if (payload.length === 1)
    for (const generation of [2, 3] as const)
      if (file!.name === COPY_NAME[generation]) return { file: file!, generation }
  throw new SnapshotError('InvalidFormat', 'a copy of an append log is one file', { at: 0 })
}

async function writeFile(
  files: FileSystem,
  path: string,
  source: PayloadFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  const target = await files.open(path, 'create')
  try {
    let at = 0
    for await (const bytes of source.read()) {
      signal?.throwIfAborted()
      await writeFully(target, bytes, at)
      at += bytes.length
    }
    if (at !== source.size)
      throw new SnapshotError('Io', `${at} of ${source.size} bytes came of ${source.name}`, { path })
    await target.datasync()
  } finally {
    await target.close()
  }
}

async function* stretches(handle: LogHandle, path: string, size: number): AsyncGenerator<Uint8Array> {
  const stretch = new Uint8Array(STRETCH_BYTES)
  for (let at = 0; at < size;) {
    const { bytesRead } = await handle.read(stretch, 0, Math.min(stretch.length, size - at), at)
    if (bytesRead === 0) throw new SnapshotError('Io', `${path} became shorter`, { path })
    yield stretch.subarray(0, bytesRead)
    at += bytesRead
  }
}

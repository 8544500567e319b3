import { join } from 'node:path'
import { systemCode, WriterLock } from '@slip/kv-core/store-parts'
import { artifactFiles } from '../artifact-files.ts'
import { withLockedStage } from '../stage.ts'
import { isTransient } from './transient.ts'

const SUFFIX = '.slip-download'
const OWN_NAME = /^(.+\.slip-download)(?:\.lock(?:\..+)?)?$/
const PAYLOAD_MARK = 'PAYLOAD'
const FORGOTTEN_MS = 24 * 3_600_000

/**
 * Runs `work` with a directory beside `path` that may hold what an earlier download of the same `payload` left,
 * under a lock that dies with the process. It is left behind when the link failed, or the process
 * died, and else removed; one of another payload is emptied first, and others beside it that nobody came back
 * to for a day are removed. SnapshotError `Busy` when somebody is downloading to the same path.
 */
export async function withDownloadStage<R>(
  path: string,
  payload: string,
  signal: AbortSignal | undefined,
  work: (stage: string) => Promise<R>,
): Promise<R> {
  return withLockedStage(path, { suffix: SUFFIX, removeOthers: removeForgotten, signal }, async (stage) => {
    await prepare(stage, payload)
    let keeps = false
    try {
      return await work(stage)
    } catch (error) {
      keeps = signal?.aborted !== true && isTransient(error)
      throw error
    } finally {
      if (!keeps) await artifactFiles.removeTree(stage)
    }
  })
}

async function prepare(stage: string, payload: string): Promise<void> {
  const mark = await artifactFiles.readFile(join(stage, PAYLOAD_MARK)).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (mark !== undefined && Buffer.from(mark).toString() === payload) return
  await artifactFiles.removeTree(stage)
  await artifactFiles.mkdir(stage)
  const file = await artifactFiles.open(join(stage, PAYLOAD_MARK), 'create')
  try {
    const bytes = Buffer.from(payload)
    await file.write(bytes, 0, bytes.length, 0)
  } finally {
    await file.close()
  }
}

/** The last thing before the stage gets its name. */
export async function unmark(stage: string): Promise<void> {
  await artifactFiles.unlink(join(stage, PAYLOAD_MARK))
}

async function removeForgotten(parent: string, own: string): Promise<void> {
  const names = await artifactFiles.readdir(parent)
  const stages = new Set(names.map((name) => OWN_NAME.exec(name)?.[1]).filter((name) => name !== undefined))
  for (const name of stages) {
    const stage = join(parent, name)
    const facts = await artifactFiles.stat(stage).catch(() => undefined)
    if (stage === own || (facts !== undefined && Date.now() - facts.mtimeMs < FORGOTTEN_MS)) continue
    const lock = await WriterLock.take(artifactFiles, stage).catch(() => undefined)
    if (lock === undefined) continue
    await artifactFiles.removeTree(stage).catch(() => undefined)
    await lock.release()
  }
}

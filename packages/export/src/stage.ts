import { basename, dirname, join, resolve } from 'node:path'
import { systemCode, WriterLock } from '@slip/kv-core/store-parts'
import { artifactFiles } from './artifact-files.ts'

const SUFFIX = '.slip-staging'
/** A stage, its lock, or what becomes a lock. */
const OWN_NAME = /^(.+\.slip-staging)(?:\.lock(?:\..+)?)?$/
const ABANDONED_LOCK_MS = 60_000
/** Who tidies up has the lock of a stage that was left behind while it removes it. */
const TIDYING_MS = 1_000

/**
 * Runs `work` with a new directory beside `path`, under a lock that dies with the process, and removes the
 * directory afterwards unless it was renamed away. First removes the stages of dead processes beside
 * it. SnapshotError `Busy` when somebody is staging for the same path.
 */
export async function withStage<R>(
  path: string,
  signal: AbortSignal | undefined,
  work: (stage: string) => Promise<R>,
): Promise<R> {
  return withLockedStage(path, { suffix: SUFFIX, removeOthers: removeAbandoned, signal }, async (stage) => {
    await artifactFiles.removeTree(stage)
    await artifactFiles.mkdir(stage)
    try {
      return await work(stage)
    } finally {
      await artifactFiles.removeTree(stage)
    }
  })
}

/**
 * Runs `work` with the place for a stage beside `path`, made as far as to there, under its lock; `removeOthers`
 * removes before what others left beside it. SnapshotError `Busy`.
 */
export async function withLockedStage<R>(
  path: string,
  {
    suffix,
    removeOthers,
    signal,
  }: {
    readonly suffix: string
    readonly removeOthers: (parent: string, own: string) => Promise<void>
    readonly signal: AbortSignal | undefined
  },
  work: (stage: string) => Promise<R>,
): Promise<R> {
  const absolute = resolve(path)
  await artifactFiles.mkdir(dirname(absolute))
  const parent = await artifactFiles.realpath(dirname(absolute))
  const stage = join(parent, `${basename(absolute)}${suffix}`)
  await removeOthers(parent, stage)
  const lock = await WriterLock.take(artifactFiles, stage, { waitLockMs: TIDYING_MS, signal })
  try {
    return await work(stage)
  } finally {
    await lock.release()
  }
}

async function removeAbandoned(parent: string, own: string): Promise<void> {
  const names = await artifactFiles.readdir(parent)
  const stages = new Set(names.map((name) => OWN_NAME.exec(name)?.[1]).filter((name) => name !== undefined))
  for (const name of stages) {
    const stage = join(parent, name)
    if (stage === own) continue
    // Somebody else's, or one that is in use: not ours to remove.
    const lock = await WriterLock.take(artifactFiles, stage).catch(() => undefined)
    if (lock === undefined) continue
    await artifactFiles.removeTree(stage).catch(() => undefined)
    await lock.release()
  }
  for (const name of names) {
    const stage = OWN_NAME.exec(name)?.[1]
    if (stage === undefined || !name.startsWith(`${stage}.lock.`)) continue
    const facts = await artifactFiles.stat(join(parent, name)).catch(() => undefined)
    if (facts !== undefined && Date.now() - facts.mtimeMs > ABANDONED_LOCK_MS)
      await artifactFiles.unlink(join(parent, name)).catch((error: unknown) => {
        if (systemCode(error) === undefined) throw error
      })
  }
}

import { basename, dirname, join } from 'node:path'
import { lockPath, type FileSystem } from '@slip/kv-core/store-parts'
import { removeIfThere } from './log-draft.ts'

const ABANDONED_LOCK_MS = 60_000

/** Names of unfinished files beside a log; whoever has the lock may remove them. */
export const DRAFT_SUFFIX = { compaction: '.compacting', stage: '.staged', adoption: '.adopting' } as const

/** Removes what a crash left beside the log. Only for the holder of the lock. */
export async function removeLeftovers(files: FileSystem, path: string): Promise<void> {
  for (const suffix of Object.values(DRAFT_SUFFIX)) await removeIfThere(files, `${path}${suffix}`)
  const directory = dirname(path)
  const draftOfLock = `${basename(lockPath(path))}.`
  for (const name of await files.readdir(directory)) {
    if (!name.startsWith(draftOfLock)) continue
    const draft = join(directory, name)
    const facts = await files.stat(draft).catch(() => undefined)
    if (facts !== undefined && Date.now() - facts.mtimeMs > ABANDONED_LOCK_MS)
      await removeIfThere(files, draft)
  }
}

import { createHash, randomUUID } from 'node:crypto'
import { stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode, WriterLock } from '@slip/kv-core/store-parts'
import { artifactFiles } from '../artifact-files.ts'

/** Beside the objects: drafts and locks. No object has a name in it. */
export const PLACE = '.slip-objects'

const ABANDONED_LOCK_MS = 60_000
const OWN_NAME = /^((?:draft|name)-[0-9a-f-]+)(\.lock(?:\..+)?)?$/
const DEFAULT_WAIT_MS = 30_000

/** Runs `work` as the only one who changes the object; the right to it dies with the process. */
export async function withName<R>(
  root: string,
  name: string,
  wait: { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number | undefined },
  work: () => Promise<R>,
): Promise<R> {
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 32)
  const lock = await WriterLock.take(artifactFiles, join(root, PLACE, `name-${digest}`), {
    waitLockMs: wait.timeoutMs ?? DEFAULT_WAIT_MS,
    signal: wait.signal,
  })
  try {
    return await work()
  } finally {
    await lock.release()
  }
}

/** Runs `work` with the path of a file that is not there yet, and removes it afterwards if it still is. */
export async function withDraft<R>(root: string, work: (draft: string) => Promise<R>): Promise<R> {
  const draft = join(root, PLACE, `draft-${randomUUID()}`)
  const lock = await WriterLock.take(artifactFiles, draft)
  try {
    return await work(draft)
  } finally {
    await unlinkIfThere(draft)
    await lock.release()
  }
}

/** Makes the place, and removes what dead processes left in it. */
export async function sweepPlace(root: string): Promise<void> {
  const place = join(root, PLACE)
  await artifactFiles.mkdir(place)
  const names = await artifactFiles.readdir(place)
  const left = new Set(names.map((name) => OWN_NAME.exec(name)?.[1]).filter((name) => name !== undefined))
  for (const name of left) {
    // What is locked is in use.
    const lock = await WriterLock.take(artifactFiles, join(place, name)).catch(() => undefined)
    if (lock === undefined) continue
    await unlinkIfThere(join(place, name))
    await lock.release()
  }
  for (const name of names) {
    if (!/\.lock\../.test(name)) continue
    const facts = await stat(join(place, name)).catch(() => undefined)
    if (facts !== undefined && Date.now() - facts.mtimeMs > ABANDONED_LOCK_MS)
      await unlinkIfThere(join(place, name))
  }
}

export async function unlinkIfThere(path: string): Promise<void> {
  await artifactFiles.unlink(path).catch((error: unknown) => {
    if (systemCode(error) !== 'ENOENT') throw error
  })
}

/** Up to here an object is read whole, and its etag is the hash of its bytes. */
export const MOST_HASHED_BYTES: number = 1024 * 1024

export function etagOfBytes(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Of a larger one: as files are never changed in place, which file it is, and from when. */
export async function etagOfFile(handle: FileHandle): Promise<string> {
  const { ino, size, mtimeNs } = await handle.stat({ bigint: true })
  return `${size}-${ino}-${mtimeNs}`
}

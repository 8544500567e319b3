import { readlink, rm, symlink } from 'node:fs/promises'
import { SnapshotError } from '@slip/kv-core'

/** Holds `path` for this process by a link to its id, which is made at once or not at all. */
export async function takeLock(path: string): Promise<void> {
  try {
    await symlink(`${process.pid}`, `${path}.lock`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw new SnapshotError('Io', `locking ${path} failed`, { cause: error })
    const holder = await readlink(`${path}.lock`)
    if (isAlive(Number(holder))) throw new SnapshotError('Busy', `process ${holder} has ${path} open`)
    await dropLock(path)
    await takeLock(path)
  }
}

export async function dropLock(path: string): Promise<void> {
  await rm(`${path}.lock`, { force: true })
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

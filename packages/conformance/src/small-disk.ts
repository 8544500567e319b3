import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CaseSkipped } from './conformance-case.ts'

const run = promisify(execFile)

/** Mounts a file system in memory of so many bytes; skips the case where that is not allowed. */
export async function withSmallDisk(
  bytes: number,
  body: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'slip-small-disk-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=700`, 'tmpfs', directory]).catch(() => {
      throw new CaseSkipped('no small file system can be mounted here: that needs Linux and root')
    })
    try {
      await body(directory)
    } finally {
      await run('umount', [directory]).catch(() => run('umount', ['-l', directory]))
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { SnapshotError } from '@slip/kv-core'
import { eachStep } from './batch-encoder.ts'

const PAGE_BYTES = 4_096
/** Of the pages on the way to a record, with some to spare. */
const PAGES_A_STEP = 4
/** For the lists of free pages and the rows of the fold. */
const SPARE_BYTES = 64 * PAGE_BYTES

/**
 * Makes sure that the disk of `file` has room for so many bytes before the library writes them: it describes a
 * write that failed in a buffer that may be too small, which ends the process. SnapshotError `Io`.
 */
export function mustHaveRoom(file: string, bytes: number): void {
  const needed = bytes + SPARE_BYTES
  const { bsize, bavail, bfree } = statfsSync(dirname(file))
  // What is kept back for root is no room for others.
  const room = bsize * (process.geteuid?.() === 0 ? bfree : bavail)
  if (room < needed)
    throw new SnapshotError(
      'Io',
      `writing ${file} may need ${needed} bytes, and the disk has ${room} left (ENOSPC)`,
      { path: file },
    )
}

/** At most how many bytes a commit of a laid-out batch adds to the file. */
export function mostBytesOf(steps: Uint8Array): number {
  let pages = 0
  eachStep(steps, () => (pages += PAGES_A_STEP))
  return steps.length + pages * PAGE_BYTES
}

import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { SnapshotError } from '@slip/kv-core'
import { eachStep } from './batch-encoder.ts'

/**
 * The library reports a write that failed in a buffer of 100 bytes. Only numbers of many digits go beyond it: a
 * batch that is smaller than this makes none.
 */
const HARMLESS_BYTES = 64 * 1024
const PAGE_BYTES = 4_096
/** Of the pages on the way to a record, with some to spare. */
const PAGES_A_STEP = 4
/** For the lists of free pages and the rows of the fold. */
const SPARE_BYTES = 64 * PAGE_BYTES

/**
 * Makes sure that a batch of large values fits on the disk before the library writes it: a write of it that
 * fails may end the process. SnapshotError `Io`.
 */
export function mustHaveRoomFor(steps: Uint8Array, file: string): void {
  if (steps.length < HARMLESS_BYTES) return
  let pages = 0
  eachStep(steps, () => (pages += PAGES_A_STEP))
  const needed = steps.length + pages * PAGE_BYTES + SPARE_BYTES
  const { bsize, bavail, bfree } = statfsSync(dirname(file))
  const room = bsize * (process.geteuid?.() === 0 ? bfree : bavail)
  if (room < needed)
    throw new SnapshotError(
      'Io',
      `writing ${file} needs ${needed} bytes, and the disk has ${room} left (ENOSPC)`,
      {
        path: file,
      },
    )
}

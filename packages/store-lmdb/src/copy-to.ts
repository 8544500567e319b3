import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { WatchCursor } from '@slip/kv-core'
import { checkFile } from './file-check.ts'
import { COPY_NAME } from './lmdb-payload.ts'
import { asIo } from './io-error.ts'
import { reserveRoom } from './open-directory.ts'

/** Lets `copy` write its file to `directory`; the cursor of the commit that is in it. */
export async function copyTo(
  directory: string,
  signal: AbortSignal | undefined,
  copy: (file: string) => Promise<void>,
): Promise<WatchCursor> {
  const file = join(directory, COPY_NAME)
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await reserveRoom(file)
    await copy(file)
    return (await checkFile(file, 'head', { signal })).cursor
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) throw error
    throw asIo(error, 'copying to', directory)
  }
}

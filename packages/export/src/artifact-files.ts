import { constants, lstat, open, rm, type FileHandle } from 'node:fs/promises'
import { nodeFileSystem, type FileSystem, type LogHandle } from '@slip/kv-core/store-parts'

/** Of the file system what every package of ours uses, and the removal of a whole stage. */
export const artifactFiles: FileSystem & { removeTree(path: string): Promise<void> } = {
  ...nodeFileSystem,
  /** What is not there is no error. */
  removeTree: async (path) => {
    await rm(path, { recursive: true, force: true })
  },
}

/** A link is not followed, and opening a pipe does not wait for somebody. */
const UNTRUSTED_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** Opens a file that somebody else made for reading; undefined when it is no regular file. */
export async function openUntrusted(
  path: string,
): Promise<{ readonly handle: FileHandle; readonly size: number } | undefined> {
  // Where the flags do not exist this look has to do.
  if (!(await lstat(path)).isFile()) return undefined
  const handle = await open(path, UNTRUSTED_FLAGS)
  try {
    const facts = await handle.stat()
    if (facts.isFile()) return { handle, size: facts.size }
  } catch (error) {
    await handle.close()
    throw error
  }
  await handle.close()
  return undefined
}

/** The bytes of a file, in stretches that are valid until the next one; the next is read ahead. */
export async function* readStretches(
  handle: Pick<LogHandle, 'read'>,
  bytesEach: number,
): AsyncGenerator<Uint8Array> {
  let [current, next] = [new Uint8Array(bytesEach), new Uint8Array(bytesEach)]
  let position = 0
  const read = async (into: Uint8Array): Promise<number> => {
    const { bytesRead } = await handle.read(into, 0, into.length, position)
    position += bytesRead
    return bytesRead
  }
  let filled = await read(current)
  while (filled > 0) {
    const ahead = read(next)
    // Looked at below; the reader may go away before.
    ahead.catch(() => undefined)
    try {
      yield current.subarray(0, filled)
    } finally {
      filled = await ahead.catch(() => -1)
    }
    if (filled < 0) await ahead
    ;[current, next] = [next, current]
  }
}

import { artifactFiles, readStretches } from './artifact-files.ts'
import { HASH_STRETCH_BYTES, newBlake3 } from './blake3.ts'
import { ByteWindow } from './byte-window.ts'

/** Reads a file of our own from its beginning. */
export async function withFileWindow<R>(path: string, work: (window: ByteWindow) => Promise<R>): Promise<R> {
  const file = await artifactFiles.open(path, 'read')
  const window = new ByteWindow(readStretches(file, HASH_STRETCH_BYTES), path)
  try {
    return await work(window)
  } finally {
    await window.close().catch(() => undefined)
    await file.close()
  }
}

/** BLAKE3 of a file of our own. */
export async function digestOfFile(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = await newBlake3()
  const file = await artifactFiles.open(path, 'read')
  try {
    for await (const stretch of readStretches(file, HASH_STRETCH_BYTES)) {
      signal?.throwIfAborted()
      hash.update(stretch)
    }
  } finally {
    await file.close()
  }
  return hash.digest()
}

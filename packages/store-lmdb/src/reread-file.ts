import { checkFile, checkLockFile } from './file-check.ts'
import { openEnvironment } from './environment.ts'
import { FoldCut } from './fold-cut.ts'
import { DEFAULT_MAX_READERS, type LmdbOptions } from './lmdb-options.ts'

/** The newest commit of a file that was closed, for reading. Whoever ends it closes the file with `closeReread`. */
export async function rereadFile(file: string, { maxReaders }: LmdbOptions): Promise<FoldCut> {
  await checkFile(file, 'head', { named: true, live: true })
  await checkLockFile(file)
  const environment = await openEnvironment(file, {
    // So that a writer that joins it in this process can keep its word.
    synced: true,
    reads: 'writableFile',
    maxReaders: maxReaders ?? DEFAULT_MAX_READERS,
  })
  try {
    return FoldCut.newest(environment, file, () => undefined, { show: false })
  } catch (error) {
    await environment.root.close()
    throw error
  }
}

/** Ends every read, and closes the file. */
export async function closeReread(cut: FoldCut): Promise<void> {
  cut.end()
  await cut.environment.root.close()
}

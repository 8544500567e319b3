import { BulkMerge } from './bulk-merge.ts'
import { isStill, type CurrentFold } from './fold-directory.ts'
import { type FoldFiles, removeFile } from './fold-files.ts'
import { openFile, reserveRoom } from './open-directory.ts'
import { rereadFile } from './reread-file.ts'
import { StagedFile } from './staged-fold.ts'

/** A new file for a second fold beside the one in use; `adopt` puts it, or what it was merged into, in its place. SnapshotError `Io`. */
export async function stageFile(
  files: FoldFiles,
  adopt: (next: CurrentFold) => Promise<void>,
): Promise<StagedFile> {
  const { directory, options } = files
  const next = await files.nextFold()
  const file = files.pathOf(next)
  await reserveRoom(file)
  const fold = await openFile(directory, next, options, { make: true, check: 'head', inUse: false })
  return new StagedFile(fold, {
    merge: async () => BulkMerge.begin(files, fold, { complete: true }),
    adopt: async (merged) => adopt(merged ?? next),
    reread: async (merged) => {
      const isInUse = await isStill(directory, (merged ?? next).name)
      return isInUse ? undefined : rereadFile(file, options)
    },
    remove: async () => removeFile(file),
  })
}

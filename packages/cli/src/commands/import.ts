import { dirname, resolve } from 'node:path'
import { SnapshotError } from '@slip/kv-core'
import { IMPORT_OPTIONS, importLimits } from '../artifact/import-options.ts'
import type { Command } from '../command/command.ts'
import { foldAddress } from '../fold/fold-address.ts'
import { backendOf } from '../fold/fold-backend.ts'
import { EXIT } from '../output/exit-code.ts'
import { Progress } from '../output/progress.ts'
import { UsageError } from '../output/usage-error.ts'
import { revisionJson } from '../output/wire.ts'

export const importFold: Command = {
  name: 'import',
  words: ['DIR', 'FOLD'],
  summary: 'Makes a new fold of an artifact: all of it, or none.',
  details:
    'Any artifact becomes either kind of fold. Nothing of it is looked at before its digest matched. JSON: {entries, cursor, revision, bytes (of the payload)}.',
  options: IMPORT_OPTIONS,
  exits: ['2  the fold exists, or is held', '4  the artifact is refused; nothing appears'],
  example: 'slip import ./artifact log:./routes.slip',
  async run({ words: [directory = '', fold = ''], options, output }) {
    const address = foldAddress(fold)
    const limits = await importLimits(options, 'import')
    const place = { path: address.path, durability: undefined, format: undefined, waitLockMs: undefined }
    const into = (await backendOf(address)).place(place)
    const { importSnapshot } = await import('@slip/export')
    const progress = new Progress(output.quiet)
    try {
      const { cursor, entries, files } = await importSnapshot(directory, into, {
        ...limits,
        scratchDirectory: dirname(resolve(address.path)),
        onProgress: ({ bytes, totalBytes }) => progress.update(() => `${bytes} of ${totalBytes} bytes`),
      })
      progress.clear()
      const revision = revisionJson(cursor.revision)
      const bytes = files.reduce((sum, { size }) => sum + size, 0)
      await output.answer(
        { entries, cursor: cursor.toHex(), revision, bytes },
        `${entries} entries, revision ${revision ?? '-'}`,
      )
      return EXIT.done
    } catch (error) {
      // A destination that is held is one that exists.
      if (SnapshotError.is(error) && error.code === 'Busy') throw new UsageError(error.message, 'import')
      throw error
    } finally {
      progress.clear()
    }
  },
}

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EXPORT_OPTIONS, exportSettings, mustStateScope } from '../artifact/interchange.ts'
import type { Command } from '../command/command.ts'
import { foldAddress } from '../fold/fold-address.ts'
import { withReader } from '../fold/with-reader.ts'
import { EXIT } from '../output/exit-code.ts'
import { Progress } from '../output/progress.ts'

export const exportFold: Command = {
  name: 'export',
  words: ['FOLD', 'DIR'],
  summary: 'Writes a fold as an artifact: a verified copy that other nodes start from.',
  details:
    "Works beside a running follower: it never takes the writer's lock, and copies one committed cursor. DIR must be absent or empty; it appears whole or not at all. JSON: the manifest, and {dir, bytes, seconds}.",
  options: EXPORT_OPTIONS,
  exits: [
    '2  DIR holds something, or the scope that 2 has to state is not known',
    '4  the fold is damaged or not a fold',
  ],
  example: 'slip export log:./routes.slip ./artifact',
  async run({ words: [fold = '', directory = ''], options, output }) {
    return await withReader(foldAddress(fold), output, async (reader) => {
      const settings = await exportSettings(options, 'export')
      mustStateScope(settings, reader.lineage, 'export')
      const { exportSnapshot, MANIFEST_FILE } = await import('@slip/export')
      const from = performance.now()
      const progress = new Progress(output.quiet)
      try {
        await exportSnapshot(reader, directory, {
          ...settings,
          onProgress: ({ bytes, totalBytes }) =>
            progress.update(() => `${bytes} of ${totalBytes} bytes verified`),
        })
      } finally {
        progress.clear()
      }
      const manifest = JSON.parse(await readFile(join(directory, MANIFEST_FILE), 'utf8')) as {
        readonly files: readonly { readonly size: number }[]
      }
      const bytes = manifest.files.reduce((sum, { size }) => sum + size, 0)
      const seconds = Math.round(performance.now() - from) / 1_000
      await output.answer({ ...manifest, dir: directory, bytes, seconds }, `${bytes} bytes, in ${seconds} s`)
      return EXIT.done
    })
  },
}

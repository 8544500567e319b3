import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { keyFile } from '../artifact/key-file.ts'
import type { Command, ParsedOptions } from '../command/command.ts'
import { oneOf, optional } from '../command/units.ts'
import { bindingLine } from '../fold/binding-line.ts'
import { foldAddress } from '../fold/fold-address.ts'
import { withReader } from '../fold/with-reader.ts'
import { EXIT } from '../output/exit-code.ts'
import { Progress } from '../output/progress.ts'
import { UsageError } from '../output/usage-error.ts'

export const exportFold: Command = {
  name: 'export',
  words: ['FOLD', 'DIR'],
  summary: 'Writes a fold as an artifact: a verified copy that other nodes start from.',
  details:
    "Works beside a running follower: it never takes the writer's lock, and copies one committed cursor. DIR must be absent or empty; it appears whole or not at all. JSON: the manifest, and {dir, bytes, seconds}.",
  options: {
    interchange: {
      value: '1|2',
      bare: '1',
      help: 'for the Rust system: 1 is what each of its versions reads, 2 states the scope of the fold',
    },
    'signing-key': { value: 'FILE', help: 'an Ed25519 private key (PEM): signs the manifest' },
  },
  exits: [
    '2  DIR holds something, or the scope that 2 has to state is not known',
    '4  the fold is damaged or not a fold',
  ],
  example: 'slip export log:./routes.slip ./artifact',
  async run({ words: [fold = '', directory = ''], options, output }) {
    const interchange = interchangeOf(options)
    const signingKey = await optional(options.text('signing-key'), async (path) =>
      keyFile(path, 'private', 'export'),
    )
    return await withReader(foldAddress(fold), output, async (reader) => {
      const scope = bindingLine(reader.lineage)?.scope
      if (interchange === 2 && (scope === undefined || 'sha256' in scope))
        throw new UsageError('the scope of the fold is not known: use --interchange=1', 'export')
      const { exportSnapshot, MANIFEST_FILE } = await import('@slip/export')
      const from = performance.now()
      const progress = new Progress(output.quiet)
      try {
        await exportSnapshot(reader, directory, {
          interchange,
          signingKey,
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

function interchangeOf(options: ParsedOptions): 1 | 2 | undefined {
  return optional(options.text('interchange'), (text) =>
    oneOf(text, 'interchange', ['1', '2']) === '2' ? 2 : 1,
  )
}

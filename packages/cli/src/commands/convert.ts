import type { Command } from '../command/command.ts'
import { oneOf } from '../command/units.ts'
import { foldAddress } from '../fold/fold-address.ts'
import { backendOf } from '../fold/fold-backend.ts'
import { withReader } from '../fold/with-reader.ts'
import { EXIT } from '../output/exit-code.ts'
import { UsageError } from '../output/usage-error.ts'

export const convert: Command = {
  name: 'convert',
  words: ['FOLD', 'FOLD'],
  summary: 'Writes the state of one fold as a new one, of another kind or generation.',
  details:
    'Either may be log:PATH or lmdb:PATH. Generation 2 of a log is what the Rust system reads; it is written in its compacted canonical form. Generation 3 and LMDB also keep the binding and the names of deleted keys. JSON: {entries, bytes, cursor}.',
  options: { format: { value: '2|3', help: 'generation of the log to write; default 3' } },
  exits: ['2  the destination exists', '4  the source is damaged or not a fold'],
  example: 'slip convert log:./routes.slip log:./routes.snap --format 2',
  async run({ words: [source = '', target = ''], options, output }) {
    const format = oneOf(options.text('format') ?? '3', 'format', ['2', '3'])
    const to = foldAddress(target)
    if (to.backend === 'lmdb' && options.text('format') !== undefined)
      throw new UsageError('--format is for log: folds: LMDB has one layout', 'convert')
    return await withReader(foldAddress(source), output, async (reader) => {
      await reader.check?.()
      const backend = await backendOf(to)
      const { entries, bytes } = await backend.write(to.path, reader, format === '2' ? 2 : 3)
      const cursor = reader.cursor.toHex()
      await output.answer({ entries, bytes, cursor }, `${entries} entries, ${bytes} bytes`)
      return EXIT.done
    })
  },
}

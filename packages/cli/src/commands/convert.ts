import { writeAppendLog } from '@slip/store-applog'
import type { Command } from '../command/command.ts'
import { oneOf } from '../command/units.ts'
import { foldAddress, withReader } from '../fold/fold-location.ts'
import { EXIT } from '../output/exit-code.ts'

export const convert: Command = {
  name: 'convert',
  words: ['FOLD', 'FOLD'],
  summary: 'Writes the state of one fold as a new one, of either generation.',
  details:
    'Generation 2 is what the Rust system reads; it is written in its compacted canonical form. Generation 3 also keeps the binding and the names of deleted keys. JSON: {entries, bytes, cursor}.',
  options: { format: { value: '2|3', help: 'generation to write; default 3' } },
  exits: ['4  the source is damaged or not a fold'],
  example: 'slip convert log:./routes.slip log:./routes.snap --format 2',
  async run({ words: [source = '', target = ''], options, output }) {
    const format = oneOf(options.text('format') ?? '3', 'format', ['2', '3'])
    const { path } = foldAddress(target)
    return await withReader(source, output, async (reader) => {
      const { entries, bytes } = await writeAppendLog(path, reader, { format: format === '2' ? 2 : 3 })
      const cursor = reader.cursor.toHex()
      await output.answer({ entries, bytes, cursor }, `${entries} entries, ${bytes} bytes`)
      return EXIT.done
    })
  },
}

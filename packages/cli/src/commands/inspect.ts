import type { Command } from '../command/command.ts'
import { bindingLine } from '../fold/binding-line.ts'
import { foldAddress, withReader } from '../fold/fold-location.ts'
import { EXIT } from '../output/exit-code.ts'
import { revisionJson } from '../output/wire.ts'

export const inspect: Command = {
  name: 'inspect',
  words: ['FOLD'],
  summary: 'Says what a fold is: its cursor, size, bucket and holder.',
  details:
    'FOLD may be a bare path. JSON: {kind, backend, generation, cursor (hex), revision, entries, bytes, binding, recovery, holder}.',
  options: {},
  exits: ['4  the fold is damaged or not a fold'],
  example: 'slip inspect log:./routes.slip',
  async run({ words: [fold = ''], output }) {
    const { path } = foldAddress(fold, { bare: true })
    return await withReader(`log:${path}`, output, async (reader) => {
      const line = {
        kind: 'fold',
        backend: 'append-log',
        generation: reader.generation,
        cursor: reader.cursor.toHex(),
        revision: revisionJson(reader.cursor.revision),
        entries: reader.stats.entries,
        bytes: reader.stats.bytes,
        binding: bindingLine(reader.lineage),
        recovery: reader.recovery ?? null,
        holder: reader.holder ?? null,
      }
      await output.answer(
        line,
        Object.entries(line)
          .map(([name, value]) => `${name.padEnd(11)} ${plain(value)}`)
          .join('\n'),
      )
      return EXIT.done
    })
  },
}

function plain(value: unknown): string {
  if (value === null || value === '') return '-'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

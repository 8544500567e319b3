import type { Command } from '../command/command.ts'
import { foldAddress } from '../fold/fold-address.ts'
import { withReader } from '../fold/with-reader.ts'
import { RANGE_OPTIONS, rangeOptions } from '../fold/range-flags.ts'
import { EXIT } from '../output/exit-code.ts'
import { entryLine, keyLine, shown, shownKey } from '../output/wire.ts'

export const ls: Command = {
  name: 'ls',
  words: ['FOLD', '[PREFIX]'],
  summary: 'Lists the keys of a fold in key-byte order.',
  details: 'JSON: {key, version (hex), revision} a line.',
  options: RANGE_OPTIONS,
  exits: ['4  the fold is damaged or not a fold'],
  example: 'slip ls log:./routes.slip route.eu.',
  async run({ words: [fold = '', prefix = ''], options, output }) {
    const range = rangeOptions(options)
    return await withReader(foldAddress(fold), output, async (reader) => {
      await reader.check?.()
      for (const entry of reader.entries(prefix, range)) {
        await output.answer(keyLine(entry.key, entry.version), shownKey(entry.key))
        if (!output.wanted) break
      }
      return EXIT.done
    })
  },
}

export const dump: Command = {
  name: 'dump',
  words: ['FOLD', '[PREFIX]'],
  summary: 'Prints the entries of a fold in key-byte order.',
  details:
    'JSON: {key, value (base64), version (hex), revision} a line. A torn tail gives the entries before it and a warning; damage gives no entries.',
  options: RANGE_OPTIONS,
  exits: ['4  the fold is damaged or not a fold'],
  example: 'slip dump log:./routes.slip --json > routes.ndjson',
  async run({ words: [fold = '', prefix = ''], options, output }) {
    const range = rangeOptions(options)
    return await withReader(foldAddress(fold), output, async (reader) => {
      await reader.check?.()
      for (const entry of reader.entries(prefix, range)) {
        await output.answer(entryLine(entry), `${shownKey(entry.key)}\t${shown(entry.value)}`)
        if (!output.wanted) break
      }
      return EXIT.done
    })
  },
}

import type { Command } from '../command/command.ts'
import { foldAddress } from '../fold/fold-address.ts'
import { withReader } from '../fold/with-reader.ts'
import { EXIT } from '../output/exit-code.ts'
import { entryLine, shown } from '../output/wire.ts'

export const get: Command = {
  name: 'get',
  words: ['FOLD', 'KEY'],
  summary: 'Prints the value of one key of a fold.',
  details:
    "Works beside a running follower: it never takes the writer's lock. JSON: {key, value (base64), version (hex), revision}.",
  options: {},
  exits: ['1  the key is absent', '4  the fold is damaged or not a fold'],
  example: 'slip get log:./routes.slip route.eu.web',
  async run({ words: [fold = '', key = ''], output }) {
    return await withReader(foldAddress(fold), output, async (reader) => {
      const entry = reader.get(key)
      if (entry === undefined) return EXIT.no
      await output.answer(entryLine(entry), shown(entry.value))
      return EXIT.done
    })
  },
}

import type { Command } from '../command/command.ts'
import { foldAddress, mustExist } from '../fold/fold-address.ts'
import { backendOf } from '../fold/fold-backend.ts'
import { LOCK_OPTIONS, waitLockMs } from '../fold/lock-options.ts'
import { repairedText } from '../fold/repaired.ts'
import { EXIT } from '../output/exit-code.ts'

export const compact: Command = {
  name: 'compact',
  words: ['FOLD'],
  summary: 'Rewrites a fold without what was overwritten or deleted.',
  details:
    'The generation stays what it is. Readers go on meanwhile. JSON: {before, after (bytes), seconds}.',
  options: LOCK_OPTIONS,
  exits: ['4  the fold is damaged or not a fold', '5  another writer holds the fold'],
  example: 'slip compact log:./routes.slip',
  async run({ words: [fold = ''], options, output }) {
    const address = foldAddress(fold)
    await mustExist(address)
    const from = performance.now()
    const backend = await backendOf(address)
    const { before, after, recovery } = await backend.compact(address.path, {
      waitLockMs: waitLockMs(options),
    })
    if (recovery !== undefined) output.warn(repairedText(recovery))
    const seconds = Math.round(performance.now() - from) / 1_000
    await output.answer({ before, after, seconds }, `${before} bytes, now ${after}, in ${seconds} s`)
    return EXIT.done
  },
}

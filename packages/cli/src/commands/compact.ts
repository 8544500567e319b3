import { AppendLogReader, AppendLogSnapshot } from '@slip/store-applog'
import { optional } from '../command/units.ts'
import type { Command } from '../command/command.ts'
import { foldAddress, mustExist } from '../fold/fold-location.ts'
import { LOCK_OPTIONS, waitLockMs } from '../fold/lock-options.ts'
import { repairedText } from '../fold/repaired.ts'
import { EXIT } from '../output/exit-code.ts'

export const compact: Command = {
  name: 'compact',
  words: ['FOLD'],
  summary: 'Rewrites a fold without what was overwritten or deleted.',
  details: 'The generation stays what it is. JSON: {before, after (bytes), seconds}.',
  options: LOCK_OPTIONS,
  exits: ['4  the fold is damaged or not a fold', '5  another writer holds the fold'],
  example: 'slip compact log:./routes.slip',
  async run({ words: [fold = ''], options, output }) {
    const address = foldAddress(fold)
    await mustExist(address)
    const reader = await AppendLogReader.open({ path: address.path })
    const { generation } = reader
    await reader.close()
    const store = await AppendLogSnapshot.open({
      path: address.path,
      compact: false,
      format: generation === 2 ? 2 : 3,
      ...optional(waitLockMs(options), (ms) => ({ waitLockMs: ms })),
    })
    try {
      if (store.recovery !== undefined) output.warn(repairedText(store.recovery))
      const from = performance.now()
      const sizes = await store.compact()
      const { after } = sizes
      const before = sizes.before + (store.recovery?.bytes ?? 0)
      const seconds = Math.round(performance.now() - from) / 1_000
      await output.answer({ before, after, seconds }, `${before} bytes, now ${after}, in ${seconds} s`)
      return EXIT.done
    } finally {
      await store.close()
    }
  },
}

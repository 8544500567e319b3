import { verifyAppendLog } from '@slip/store-applog'
import type { Command } from '../command/command.ts'
import { foldAddress } from '../fold/fold-location.ts'
import { EXIT } from '../output/exit-code.ts'
import { revisionJson } from '../output/wire.ts'

const EXIT_OF = {
  intact: EXIT.done,
  torn: EXIT.done,
  missing: EXIT.usage,
  corrupt: EXIT.fold,
  foreign: EXIT.fold,
} as const

export const verify: Command = {
  name: 'verify',
  words: ['PATH…'],
  summary: 'Checks every byte of one or many folds; changes nothing.',
  details:
    'PATH is log:PATH or bare. JSON, a line a path: {path, verdict, at, bytes, generation, entries, cursor, revision}. Verdicts: intact, torn (an unfinished last write, normal after a crash), corrupt, foreign, missing.',
  options: {},
  exits: ['2  a path is missing', '4  a fold is corrupt, or not a fold'],
  example: 'slip verify log:./routes.slip',
  async run({ words, output }) {
    let worst: number = EXIT.done
    for (const given of words) {
      const found = await verifyAppendLog(foldAddress(given, { bare: true }).path)
      const revision = revisionJson(found.cursor?.revision)
      await output.answer(
        {
          path: given,
          verdict: found.verdict,
          at: found.at ?? null,
          bytes: found.bytes ?? null,
          generation: found.generation ?? null,
          entries: found.entries ?? null,
          cursor: found.cursor?.toHex() ?? null,
          revision,
        },
        `${given}: ${found.verdict}${found.at === undefined ? '' : ` at byte ${found.at}`}${found.entries === undefined ? '' : `, ${found.entries} entries, revision ${revision ?? '-'}`}`,
      )
      worst = Math.max(worst, EXIT_OF[found.verdict])
    }
    return worst
  },
}

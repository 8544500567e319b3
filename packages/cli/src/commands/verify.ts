import type { Command } from '../command/command.ts'
import { bareOrFoldAddress } from '../fold/fold-address.ts'
import { backendOf, type FoldVerdict } from '../fold/fold-backend.ts'
import { EXIT, explain } from '../output/exit-code.ts'
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
    'PATH is log:PATH, lmdb:PATH or bare. JSON, a line a path: {path, verdict, at, bytes, generation, entries, cursor, revision}. Verdicts: intact, torn (an unfinished last write, normal after a crash), corrupt, foreign, missing.',
  options: {},
  exits: ['2  wrong usage, or a path is missing or cannot be read', '4  a fold is corrupt, or not a fold'],
  example: 'slip verify log:./routes.slip',
  async run({ words, output }) {
    let worst: number = EXIT.done
    const addresses = await Promise.all(
      words.map(async (given) => [given, await bareOrFoldAddress(given)] as const),
    )
    let unreadable: unknown
    for (const [given, address] of addresses) {
      let found: FoldVerdict
      try {
        found = await (await backendOf(address)).verify(address.path)
      } catch (error) {
        // One path that cannot be read keeps nobody from hearing about the others.
        unreadable ??= error
        continue
      }
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
        `${given}: ${found.verdict}${found.at === undefined || found.verdict === 'intact' ? '' : ` at byte ${found.at}`}${found.entries === undefined ? '' : `, ${found.entries} entries, revision ${revision ?? '-'}`}`,
      )
      worst = Math.max(worst, EXIT_OF[found.verdict])
    }
    if (unreadable === undefined) return worst
    if (worst < EXIT.fold) throw unreadable
    output.warn(explain(unreadable).message)
    return worst
  },
}

import type { Command } from '../command/command.ts'
import { artifactDirectory } from '../artifact/artifact-directory.ts'
import { artifactVerdict } from '../artifact/artifact-verdict.ts'
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
  summary: 'Checks every byte of one or many folds or artifacts; changes nothing.',
  details:
    'PATH is log:PATH, lmdb:PATH or bare; a directory with a manifest is an artifact. JSON, a line a path: {path, verdict, at, bytes, generation, entries, cursor, revision}. Verdicts: intact, torn (an unfinished last write, normal after a crash), corrupt, foreign, missing.',
  options: {},
  exits: [
    '2  wrong usage, or a path is missing or cannot be read',
    '4  one is corrupt, or neither a fold nor an artifact',
  ],
  example: 'slip verify log:./routes.slip',
  async run({ words, output }) {
    let worst: number = EXIT.done
    const checks = await Promise.all(words.map(async (given) => [given, await checkOf(given)] as const))
    let unreadable: unknown
    for (const [given, check] of checks) {
      let found: FoldVerdict
      try {
        found = await check((why) => output.warn(`${given}: ${why}`))
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

/** How to check what a word names; UsageError for what names nothing. */
async function checkOf(given: string): Promise<(warn: (why: string) => void) => Promise<FoldVerdict>> {
  const artifact = await artifactDirectory(given)
  if (artifact !== undefined) return async (warn) => artifactVerdict(artifact, warn)
  const address = await bareOrFoldAddress(given)
  return async () => (await backendOf(address)).verify(address.path)
}

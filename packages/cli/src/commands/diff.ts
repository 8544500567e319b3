import { scopePrefixes } from '@slip/kv-core'
import type { Command } from '../command/command.ts'
import { CONNECTION_OPTIONS } from '../bucket/connection-options.ts'
import { withBucket } from '../bucket/with-bucket.ts'
import { foldPrefixes } from '../fold/binding-line.ts'
import { compareFold, narrowed } from '../fold/compare.ts'
import { foldAddress } from '../fold/fold-address.ts'
import { withReader } from '../fold/with-reader.ts'
import { skippedNames } from '../fold/skipped-names.ts'
import { EXIT } from '../output/exit-code.ts'
import { Progress } from '../output/progress.ts'
import { UsageError } from '../output/usage-error.ts'
import { revisionJson, shownKey } from '../output/wire.ts'

export const diff: Command = {
  name: 'diff',
  words: ['FOLD', 'BUCKET'],
  summary: 'Compares a fold with its bucket, key by key.',
  details:
    'Within the scope of the fold. A line a difference {key, kind}: missing (only the bucket has it), extra (only the fold), different, skipped (left out of the fold because of its limits: no difference); then {equal, compared, missing, extra, different, skipped, at}. Values and revisions both count.',
  options: {
    prefix: { value: 'P', help: 'only keys that start with it', multiple: true },
    ...CONNECTION_OPTIONS,
  },
  exits: ['1  they differ', '3  the bucket cannot be read', '4  the fold is damaged or not a fold'],
  example: 'slip diff log:./routes.slip routes',
  async run({ words: [fold = '', name = ''], options, output }) {
    return await withReader(foldAddress(fold), output, async (reader) => {
      const prefixes = prefixesToCompare(foldPrefixes(reader.lineage), options.list('prefix'))
      await reader.check?.()
      return await withBucket(options, name, async (bucket) => {
        const progress = new Progress(output.quiet)
        const { at, ...counts } = await compareFold(
          { fold: reader, bucket: bucket.reader, prefixes, isSkipped: skippedNames(reader.lineage) },
          {
            onDifference: async ({ key, kind }) => {
              progress.clear()
              await output.answer({ key, kind }, `${kind.padEnd(9)} ${shownKey(key)}`)
            },
            onProgress: (compared) => progress.update(() => `${compared} compared`),
          },
        )
        progress.clear()
        const equal = counts.missing + counts.extra + counts.different === 0
        await output.answer(
          { equal, ...counts, at: revisionJson(at.revision) },
          `${equal ? 'equal' : 'they differ'}: ${counts.compared} compared, ${counts.missing} missing, ${counts.extra} extra, ${counts.different} different, ${counts.skipped} skipped`,
        )
        return equal ? EXIT.done : EXIT.no
      })
    })
  },
}

function prefixesToCompare(
  scope: readonly string[] | undefined,
  wanted: readonly string[],
): readonly string[] {
  if (scope === undefined && wanted.length === 0)
    throw new UsageError(
      'the scope of the fold has too many prefixes to be kept in it: name those to compare with --prefix',
    )
  const asked = wanted.length === 0 ? undefined : scopePrefixes({ prefixes: wanted })
  const prefixes = narrowed(scope ?? [''], asked)
  if (prefixes.length === 0)
    throw new UsageError(
      `the fold holds nothing under '${wanted.join("', '")}': its scope is ${scope?.join(', ') ?? ''}`,
    )
  return prefixes
}

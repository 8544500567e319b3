import { artifactDirectory } from '../artifact/artifact-directory.ts'
import { artifactLine } from '../artifact/artifact-verdict.ts'
import type { Command } from '../command/command.ts'
import { bindingLine } from '../fold/binding-line.ts'
import { bareOrFoldAddress } from '../fold/fold-address.ts'
import { withReader } from '../fold/with-reader.ts'
import { EXIT } from '../output/exit-code.ts'
import type { Output } from '../output/output.ts'
import { revisionJson } from '../output/wire.ts'

export const inspect: Command = {
  name: 'inspect',
  words: ['FOLD-or-ARTIFACT'],
  summary: 'Says what a fold or an artifact is: its cursor, size, bucket and holder.',
  details:
    'FOLD may be a bare path. JSON: {kind (fold or artifact), backend, generation, cursor (hex), revision, entries, bytes, binding, recovery, holder}; of LMDB also {freeBytes, mapBytes, maxReaders, readers, oldestReader}: what of the file later commits use again, the read transactions of other processes, and the one that keeps the most; of an artifact {schemaVersion, createdAt, scope?}.',
  options: {},
  exits: ['4  the fold is damaged or not a fold'],
  example: 'slip inspect log:./routes.slip',
  async run({ words: [fold = ''], output }) {
    const artifact = await artifactDirectory(fold)
    if (artifact !== undefined) {
      await tell(output, await artifactLine(artifact))
      return EXIT.done
    }
    return await withReader(await bareOrFoldAddress(fold), output, async (reader, { name: backend }) => {
      const line = {
        kind: 'fold',
        backend,
        generation: reader.generation,
        cursor: reader.cursor.toHex(),
        revision: revisionJson(reader.cursor.revision),
        entries: reader.stats.entries,
        bytes: reader.stats.bytes,
        binding: bindingLine(reader.lineage),
        recovery: reader.recovery ?? null,
        holder: reader.holder ?? null,
        ...(await reader.usage?.()),
      }
      await tell(output, line)
      return EXIT.done
    })
  },
}

async function tell(output: Output, line: object): Promise<void> {
  const lines = Object.entries(line).map(([name, value]) => `${name.padEnd(12)} ${plain(value)}`)
  await output.answer(line, lines.join('\n'))
}

function plain(value: unknown): string {
  if (value === null || value === '') return '-'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

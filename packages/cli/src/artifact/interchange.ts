import type { OptionSpecs, ParsedOptions } from '../command/command.ts'
import { oneOf, optional } from '../command/units.ts'
import { bindingLine } from '../fold/binding-line.ts'
import { UsageError } from '../output/usage-error.ts'
import { keyFile } from './key-file.ts'

/** How an artifact is made. */
export const EXPORT_OPTIONS: OptionSpecs = {
  interchange: {
    value: '1|2',
    bare: '1',
    help: 'for the Rust system: 1 is what each of its versions reads, 2 states the scope of the fold',
  },
  'signing-key': { value: 'FILE', help: 'an Ed25519 private key (PEM): signs the manifest' },
}

/** UsageError for a scope that 2 has to state and that is not known, and for a key that is none. */
export async function exportSettings(
  options: ParsedOptions,
  lineage: Uint8Array | undefined,
  command: string,
): Promise<{ readonly interchange: 1 | 2 | undefined; readonly signingKey: Uint8Array | undefined }> {
  const interchange = optional(options.text('interchange'), (text) =>
    oneOf(text, 'interchange', ['1', '2']) === '2' ? 2 : 1,
  )
  const scope = bindingLine(lineage)?.scope
  if (interchange === 2 && (scope === undefined || 'sha256' in scope))
    throw new UsageError('the scope of the fold is not known: use --interchange=1', command)
  const signingKey = await optional(options.text('signing-key'), async (path) =>
    keyFile(path, 'private', command),
  )
  return { interchange, signingKey }
}

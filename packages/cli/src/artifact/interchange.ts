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

interface ExportSettings {
  readonly interchange: 1 | 2 | undefined
  readonly signingKey: Uint8Array | undefined
}

/** UsageError for a key that is none. */
export async function exportSettings(options: ParsedOptions, command: string): Promise<ExportSettings> {
  return {
    interchange: optional(options.text('interchange'), (text) =>
      oneOf(text, 'interchange', ['1', '2']) === '2' ? 2 : 1,
    ),
    signingKey: await optional(options.text('signing-key'), async (path) =>
      keyFile(path, 'private', command),
    ),
  }
}

/** UsageError for a scope that schema 2 has to state and that is not known. */
export function mustStateScope(
  { interchange }: ExportSettings,
  lineage: Uint8Array | undefined,
  command: string,
): void {
  const scope = bindingLine(lineage)?.scope
  if (interchange === 2 && (scope === undefined || 'sha256' in scope))
    throw new UsageError('the scope of the fold is not known: use --interchange=1', command)
}

import type { ExpectedFold } from '@slip/export'
import type { OptionSpecs, ParsedOptions } from '../command/command.ts'
import { durationMs, optional, sizeBytes } from '../command/units.ts'
import { keyFile } from './key-file.ts'

/** What is taken from somebody else. */
export const IMPORT_OPTIONS: OptionSpecs = {
  'trusted-key': {
    value: 'FILE',
    help: 'an Ed25519 public key (PEM): one of them has to have signed the artifact',
    multiple: true,
  },
  'max-age': { value: 'DURATION', help: 'how long ago the artifact may have been made; default any time' },
  'max-bytes': { value: 'SIZE', help: 'how large its payload may be; default any size' },
  bucket: { value: 'NAME', help: 'the bucket it has to be of, where it states one' },
}

interface ImportLimits {
  readonly trustedKeys: readonly Uint8Array[]
  readonly maxAgeMs: number | undefined
  readonly maxBytes: number | undefined
  readonly expected: ExpectedFold
}

/** UsageError for what cannot be. */
export async function importLimits(options: ParsedOptions, command: string): Promise<ImportLimits> {
  return {
    trustedKeys: await Promise.all(
      options.list('trusted-key').map(async (path) => keyFile(path, 'public', command)),
    ),
    maxAgeMs: optional(options.text('max-age'), (text) => durationMs(text, 'max-age')),
    maxBytes: optional(options.text('max-bytes'), (text) => sizeBytes(text, 'max-bytes')),
    expected: { name: options.text('bucket') },
  }
}

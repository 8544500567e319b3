import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import type { OptionSpecs, ParsedOptions } from '../command/command.ts'
import { unreadable } from '../output/local-file.ts'
import { UsageError } from '../output/usage-error.ts'

export const VALUE_OPTIONS: OptionSpecs = {
  base64: { value: 'VALUE', help: 'the value in base64' },
  file: { value: 'FILE', help: 'the value is the content of a file' },
}

/** The value of a write: the word (UTF-8), `--base64`, `--file`, or stdin. */
export async function valueInput(word: string | undefined, options: ParsedOptions): Promise<Uint8Array> {
  const encoded = options.text('base64')
  const file = options.text('file')
  if ([word, encoded, file].filter((given) => given !== undefined).length > 1)
    throw new UsageError('give the value once: as a word, with --base64 or with --file')
  if (word !== undefined) return new TextEncoder().encode(word)
  if (encoded !== undefined) return decodeBase64(encoded, '--base64')
  if (file === undefined) return await buffer(process.stdin)
  try {
    return await readFile(file)
  } catch (error) {
    throw unreadable(file, error)
  }
}

/** Strict: UsageError unless every character counts. */
export function decodeBase64(text: string, what: string): Uint8Array {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text))
    throw new UsageError(`${what} is not base64`)
  return Buffer.from(text, 'base64')
}

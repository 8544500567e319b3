import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PlainEntry } from './scratch.ts'

/** Artifacts that the Rust system made, or that were bent from such, with its own answers. */
export const INTEROP: string = join(import.meta.dirname, 'interop')

export type Answer =
  | { readonly verdict: 'ok'; readonly cursor: string; readonly entries: readonly PlainEntry[] }
  | { readonly verdict: 'error'; readonly kind: string; readonly message: string }

/** By the directory of the artifact. */
export async function interopAnswers(): Promise<ReadonlyMap<string, Answer>> {
  const expected = JSON.parse(await readFile(join(INTEROP, 'expected.json'), 'utf8')) as Record<
    string,
    Answer
  >
  return new Map(Object.entries(expected).filter(([name]) => name !== 'remote' && name !== 'tar'))
}

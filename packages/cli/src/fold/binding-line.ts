import { decodeLineage, type Binding } from '@slip/kv-core'

/** What a fold belongs to, for `inspect`; `null` when it does not say. */
export function bindingLine(lineage: Uint8Array | undefined): Binding | null {
  return lineage === undefined ? null : decodeLineage(lineage).binding
}

/** The prefixes a fold covers: every key when it does not say, undefined when they are too many to be kept. */
export function foldPrefixes(lineage: Uint8Array | undefined): readonly string[] | undefined {
  const scope = bindingLine(lineage)?.scope ?? ['']
  return 'sha256' in scope ? undefined : scope
}

import { decodeLineage } from '@slip/kv-core'

/** What a fold belongs to, for `inspect`; `null` when it does not say. */
export function bindingLine(lineage: Uint8Array | undefined): object | null {
  if (lineage === undefined) return null
  const { binding } = decodeLineage(lineage)
  return binding ?? null
}

/** The prefixes a fold covers; every key when it does not say. */
export function foldPrefixes(lineage: Uint8Array | undefined): readonly string[] {
  if (lineage === undefined) return ['']
  return decodeLineage(lineage).binding?.scope ?? ['']
}

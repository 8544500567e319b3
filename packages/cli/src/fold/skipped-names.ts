import { createHash } from 'node:crypto'
import { decodeLineage } from '@slip/kv-core'

/** Whether a fold left a key out because of a limit of its store: the fold keeps the first 8 bytes of the SHA-256 of its name. */
export function skippedNames(lineage: Uint8Array | undefined): (key: string) => boolean {
  const skipped = lineage === undefined ? undefined : decodeLineage(lineage).skipped
  if (skipped === undefined) return () => false
  const hashes = new Set([...skipped.keys, ...skipped.values])
  return (key) => hashes.has(createHash('sha256').update(key).digest().readBigUInt64BE())
}

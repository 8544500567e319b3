import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotError } from '@slip/kv-core'
import type { FoldVerdict } from '../fold/fold-backend.ts'
import { revisionJson } from '../output/wire.ts'

/** Reads every byte of an artifact; `warn` is told why one is refused. */
export async function artifactVerdict(directory: string, warn: (why: string) => void): Promise<FoldVerdict> {
  const { MANIFEST_FILE, verifyArtifact } = await import('@slip/export')
  try {
    const { manifest, entries, bytes } = await verifyArtifact(directory)
    return {
      verdict: 'intact',
      at: bytes,
      bytes,
      generation: Number(manifest.backendVersion),
      entries,
      cursor: manifest.cursor,
    }
  } catch (error) {
    if (!SnapshotError.is(error) || error.code !== 'ArtifactInvalid') throw error
    warn(error.message)
    const hasManifest = await access(join(directory, MANIFEST_FILE)).then(
      () => true,
      () => false,
    )
    return { verdict: hasManifest ? 'corrupt' : 'foreign' }
  }
}

/** What an artifact says of itself. One that states no entries is read. */
export async function artifactLine(directory: string): Promise<object> {
  const { readManifest, verifyArtifact } = await import('@slip/export')
  const manifest = await readManifest(directory)
  const { schemaVersion, backend, backendVersion, cursor, files, binding, scope, createdAtUnix } = manifest
  return {
    kind: 'artifact',
    backend,
    generation: Number(backendVersion),
    cursor: cursor.toHex(),
    revision: revisionJson(cursor.revision),
    entries: manifest.entries ?? (await verifyArtifact(directory)).entries,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    binding: binding ?? null,
    recovery: null,
    holder: null,
    schemaVersion,
    createdAt: new Date(createdAtUnix * 1000).toISOString(),
    ...(scope === undefined ? {} : { scope }),
  }
}

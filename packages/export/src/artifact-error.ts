import { SnapshotError } from '@slip/kv-core'

/** Why an artifact is not taken: SnapshotError `ArtifactInvalid`. */
export function refused(what: string, options: { cause?: unknown; path?: string } = {}): SnapshotError {
  return new SnapshotError('ArtifactInvalid', `the artifact is refused: ${what}`, options)
}

/** A system error as SnapshotError `Io`; a SnapshotError and a signal's reason stay what they are. */
export function asIo(error: unknown, what: string, path: string, signal?: AbortSignal): unknown {
  if (SnapshotError.is(error) || (signal?.aborted === true && error === signal.reason)) return error
  const code = (error as { code?: unknown } | undefined)?.code
  if (typeof code !== 'string') return error
  return new SnapshotError('Io', `${what} ${path} failed (${code})`, { cause: error, path })
}

import { SnapshotError } from '@slip/kv-core'

/** Why an artifact is not taken: SnapshotError `ArtifactInvalid`. */
export function refused(what: string, options: { cause?: unknown; path?: string } = {}): SnapshotError {
  return new SnapshotError('ArtifactInvalid', `the artifact is refused: ${what}`, options)
}

/** A system error as SnapshotError `Io`; everything else, a signal's reason too, stays what it is. */
export function asIo(error: unknown, what: string, path: string, signal?: AbortSignal): unknown {
  if (SnapshotError.is(error) || (signal?.aborted === true && error === signal.reason)) return error
  const { code, errno } = (error ?? {}) as { readonly code?: unknown; readonly errno?: unknown }
  if (typeof errno !== 'number') return error
  return new SnapshotError('Io', `${what} ${path} failed (${String(code)})`, { cause: error, path })
}

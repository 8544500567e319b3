import { SnapshotError } from '@slip/kv-core'
import { systemCode } from '@slip/kv-core/store-parts'

/** A system error as SnapshotError `Io` that names the path; a SnapshotError stays itself. */
export function asIo(error: unknown, what: string, path: string): SnapshotError {
  if (SnapshotError.is(error)) return error
  const code = systemCode(error)
  return new SnapshotError('Io', `${what} ${path} failed${code === undefined ? '' : ` (${code})`}`, {
    cause: error,
    path,
  })
}

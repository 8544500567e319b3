import type { WatchCursor } from './cursor.ts'

export type KvErrorCode =
  | 'Unreachable'
  | 'Unauthorized'
  | 'PermissionDenied'
  | 'BucketNotFound'
  | 'AlreadyExists'
  | 'RevisionMismatch'
  | 'InvalidKey'
  | 'ValueTooLarge'
  | 'QuotaExceeded'
  | 'Timeout'
  | 'OutcomeUnknown'
  | 'Unsupported'
  | 'CursorExpired'
  | 'BucketRecreated'
  | 'BucketRolledBack'
  | 'RepairRefused'
  | 'ApplyFailed'
  | 'ChangesLagged'
  | 'Closed'

export type SnapshotErrorCode =
  | 'Io'
  | 'InvalidFormat'
  | 'Corrupted'
  | 'Busy'
  | 'ForeignFold'
  | 'LimitExceeded'
  | 'ArtifactInvalid'
  | 'StoreChanged'
  | 'ViewExpired'
  | 'NotFound'
  | 'AlreadyExists'
  | 'Backend'
  | 'Closed'

const KV_ERROR = Symbol.for('@slip/kv-core.KvError')
const SNAPSHOT_ERROR = Symbol.for('@slip/kv-core.SnapshotError')

/** Talking to the bucket failed. `code` is stable; the message may change. */
export class KvError extends Error {
  override readonly name: string = 'KvError'
  readonly code: KvErrorCode
  /** Where the fold stood, when the error ends a watch. */
  declare readonly cursor?: WatchCursor

  constructor(code: KvErrorCode, message: string, options?: { cause?: unknown; cursor?: WatchCursor }) {
    super(message, causeOf(options))
    this.code = code
    if (options?.cursor !== undefined) this.cursor = options.cursor
    Object.defineProperty(this, KV_ERROR, { value: true })
  }

  /** Also true for an instance of another copy of this package. */
  static is(value: unknown): value is KvError {
    return branded(value, KV_ERROR)
  }
}

/** The durable fold failed. `code` is stable; the message may change. */
export class SnapshotError extends Error {
  override readonly name: string = 'SnapshotError'
  readonly code: SnapshotErrorCode
  declare readonly path?: string
  /** Byte offset of the damage; 0 when the file as a whole is not ours. */
  declare readonly at?: number
  /** Where the fold stood, when the error ends a watch. */
  declare readonly cursor?: WatchCursor

  constructor(
    code: SnapshotErrorCode,
    message: string,
    options?: { cause?: unknown; path?: string; at?: number; cursor?: WatchCursor },
  ) {
    super(message, causeOf(options))
    this.code = code
    if (options?.path !== undefined) this.path = options.path
    if (options?.at !== undefined) this.at = options.at
    if (options?.cursor !== undefined) this.cursor = options.cursor
    Object.defineProperty(this, SNAPSHOT_ERROR, { value: true })
  }

  /** Also true for an instance of another copy of this package. */
  static is(value: unknown): value is SnapshotError {
    return branded(value, SNAPSHOT_ERROR)
  }
}

/** What a thrown value says. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : `something was thrown: ${typeof thrown}`
}

/** The same failure with a message and a cursor of ours; what was not a SnapshotError becomes `fallback`. */
export function asSnapshotError(
  cause: unknown,
  fallback: SnapshotErrorCode,
  message: string,
  cursor: WatchCursor,
): SnapshotError {
  const known = SnapshotError.is(cause) ? cause : undefined
  return new SnapshotError(known?.code ?? fallback, message, {
    cause,
    cursor,
    ...(known?.path === undefined ? {} : { path: known.path }),
    ...(known?.at === undefined ? {} : { at: known.at }),
  })
}

function causeOf(options: { cause?: unknown } | undefined): ErrorOptions | undefined {
  return options?.cause === undefined ? undefined : { cause: options.cause }
}

function branded(value: unknown, brand: symbol): boolean {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true
}

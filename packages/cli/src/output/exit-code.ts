import { KvError, SnapshotError, type KvErrorCode, type SnapshotErrorCode } from '@slip/kv-core'
import { UsageError } from './usage-error.ts'

/** The exit codes of the command, by meaning. */
export const EXIT = { done: 0, no: 1, usage: 2, source: 3, fold: 4, busy: 5, behind: 6, bug: 70 } as const

interface Answer {
  readonly exit: number
  readonly hint: string
}

const KV: Readonly<Record<KvErrorCode, Answer>> = {
  Unreachable: { exit: EXIT.source, hint: 'Check --server, or that the server runs.' },
  Unauthorized: {
    exit: EXIT.source,
    hint: 'Check the credentials: --creds, --user, --token, --nkey or --context.',
  },
  PermissionDenied: { exit: EXIT.source, hint: 'The account lacks a permission for this.' },
  BucketNotFound: { exit: EXIT.source, hint: 'Create it with: slip bucket create NAME' },
  AlreadyExists: { exit: EXIT.no, hint: 'Use put to overwrite, or update with --revision.' },
  RevisionMismatch: { exit: EXIT.no, hint: 'Read the key again and retry with its revision.' },
  InvalidKey: { exit: EXIT.usage, hint: 'Keys hold letters, digits and -/_=. without empty parts.' },
  ValueTooLarge: { exit: EXIT.usage, hint: 'Raise the limit of the bucket or of the server, or write less.' },
  QuotaExceeded: { exit: EXIT.source, hint: 'The bucket or the account is full.' },
  Timeout: { exit: EXIT.source, hint: 'Try again, or allow more with --timeout.' },
  OutcomeUnknown: {
    exit: EXIT.source,
    hint: 'The write may have happened: read the key before writing again.',
  },
  Unsupported: { exit: EXIT.source, hint: 'The server or the bucket cannot do this.' },
  CursorExpired: { exit: EXIT.behind, hint: 'The bucket no longer has what the fold needs.' },
  BucketRecreated: { exit: EXIT.fold, hint: 'The bucket is not the one this fold was made from.' },
  BucketRolledBack: { exit: EXIT.fold, hint: 'The bucket is older than the fold.' },
  RepairRefused: {
    exit: EXIT.behind,
    hint: 'The fold is untouched. Bootstrap another FOLD: from an artifact, or by following into it what the bucket still has.',
  },
  ApplyFailed: { exit: EXIT.bug, hint: 'Please report this.' },
  ChangesLagged: { exit: EXIT.bug, hint: 'Please report this.' },
  Closed: { exit: EXIT.source, hint: 'The connection was closed.' },
}

const SNAPSHOT: Readonly<Record<SnapshotErrorCode, Answer>> = {
  Io: { exit: EXIT.usage, hint: 'Check the path, its permissions and the free space.' },
  InvalidFormat: {
    exit: EXIT.fold,
    hint: 'The file is not a fold, or of a newer version; it was not touched.',
  },
  Corrupted: { exit: EXIT.fold, hint: 'The file was not touched; slip follow sets it aside and rebuilds.' },
  Busy: { exit: EXIT.busy, hint: 'Stop the holder, or wait for it with --wait-lock 10s.' },
  ForeignFold: { exit: EXIT.fold, hint: 'Use another path, or --on-foreign rebuild to set it aside.' },
  LimitExceeded: { exit: EXIT.usage, hint: 'A key or value is above what this fold can hold.' },
  ArtifactInvalid: { exit: EXIT.fold, hint: 'Nothing was imported.' },
  StoreChanged: { exit: EXIT.bug, hint: 'Please report this.' },
  ViewExpired: { exit: EXIT.bug, hint: 'Please report this.' },
  NotFound: { exit: EXIT.usage, hint: 'Check the path.' },
  AlreadyExists: { exit: EXIT.usage, hint: 'Choose another path, or remove it first.' },
  Backend: { exit: EXIT.usage, hint: 'The store refused.' },
  Closed: { exit: EXIT.bug, hint: 'Please report this.' },
}

export interface Explained {
  readonly exit: number
  readonly code: string
  readonly message: string
  readonly hint: string
}

/** What an error means to whoever ran the command. */
export function explain(error: unknown): Explained {
  if (error instanceof UsageError)
    return { exit: EXIT.usage, code: error.code, message: error.message, hint: error.hint }
  if (KvError.is(error)) {
    const hint = hintOf(error) ?? KV[error.code].hint
    return { exit: KV[error.code].exit, code: error.code, message: error.message, hint }
  }
  if (SnapshotError.is(error)) {
    const { exit, hint } = SNAPSHOT[isDamage(error) ? 'Corrupted' : error.code]
    return { exit, code: error.code, message: error.message, hint: hintOf(error) ?? hint }
  }
  const message = error instanceof Error ? error.message : String(error)
  return { exit: EXIT.bug, code: 'Internal', message, hint: 'This is a bug in slip: please report it.' }
}

/** Ours and damaged, however it shows: a file that is not ours has no offset, or 0. */
function isDamage(error: SnapshotError): boolean {
  return error.code === 'InvalidFormat' && (error.at ?? 0) > 0
}

const hints = new WeakMap<object, string>()

/** Gives an error a hint of its own, in place of its code's. */
export function withHint<E extends object>(error: E, hint: string): E {
  hints.set(error, hint)
  return error
}

function hintOf(error: object): string | undefined {
  return hints.get(error)
}

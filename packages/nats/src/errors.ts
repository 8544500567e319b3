import { KvError, type KvErrorCode } from '@slip/kv-core'

import { redact } from './redact.ts'

/** The server said no. `code` is the JetStream `err_code`, `status` the kind (404, 503, …). */
export class ServerRefusal extends Error {
  override readonly name: string = 'ServerRefusal'
  readonly code: number
  readonly status: number

  constructor(code: number, status: number, description: string) {
    super(redact(description))
    this.code = code
    this.status = status
  }
}

/** What a refusal in a JetStream reply looks like. */
export interface ApiErrorReply {
  readonly code: number
  readonly err_code?: number
  readonly description?: string
}

/** No message, as opposed to no stream: the answer to a read of an absent key. */
export const NO_MESSAGE_FOUND = 10_037
export const STREAM_NAME_IN_USE = 10_058

const BY_ERR_CODE: Readonly<Record<number, KvErrorCode>> = {
  10_002: 'QuotaExceeded',
  10_005: 'Unsupported',
  10_008: 'Unreachable',
  10_009: 'Unreachable',
  10_014: 'Unreachable',
  10_023: 'QuotaExceeded',
  10_026: 'QuotaExceeded',
  10_027: 'QuotaExceeded',
  10_028: 'QuotaExceeded',
  10_039: 'Unsupported',
  10_047: 'QuotaExceeded',
  10_052: 'Unsupported',
  10_054: 'ValueTooLarge',
  10_057: 'PermissionDenied',
  10_058: 'AlreadyExists',
  10_059: 'BucketNotFound',
  10_071: 'RevisionMismatch',
  10_074: 'Unsupported',
  10_076: 'Unsupported',
  10_077: 'QuotaExceeded',
  10_110: 'PermissionDenied',
  10_111: 'PermissionDenied',
  10_113: 'Unsupported',
  10_118: 'Unreachable',
  10_122: 'QuotaExceeded',
  10_164: 'RevisionMismatch',
  10_165: 'Unsupported',
  10_166: 'Unsupported',
}

/** A server's refusal as a KvError; `what` says what was tried ("put a.b"). */
export function refusal(reply: ApiErrorReply, what: string): KvError {
  const cause = new ServerRefusal(reply.err_code ?? 0, reply.code, reply.description ?? 'no description')
  const code = BY_ERR_CODE[cause.code] ?? (reply.code === 503 ? 'Unreachable' : 'Unsupported')
  return new KvError(code, `${what}: ${cause.message} (${cause.code})`, { cause })
}

/** The refusal behind a KvError, when that is what it is. */
export function refusalCode(error: unknown): number | undefined {
  return error instanceof Error && error.cause instanceof ServerRefusal ? error.cause.code : undefined
}

/** Whether nobody listened where a request was sent. */
export function isNoResponders(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause)
    if (each.name === 'NoResponders' || each.name === 'NoRespondersError') return true
  return false
}

/** Whether a failed attempt may have changed the bucket. */
export type Attempt = 'read' | 'write'

const BY_NAME: Readonly<Record<string, KvErrorCode | 'late'>> = {
  TimeoutError: 'late',
  NoResponders: 'Unreachable',
  NoRespondersError: 'Unreachable',
  PermissionViolationError: 'PermissionDenied',
  AuthorizationError: 'Unauthorized',
  UserAuthenticationExpiredError: 'Unauthorized',
  ClosedConnectionError: 'Closed',
  DrainingConnectionError: 'Closed',
  InvalidSubjectError: 'InvalidKey',
}

/**
 * What a client threw, as a KvError: time-outs are `Timeout` for a read and `OutcomeUnknown` for a
 * write, a refused subject is `PermissionDenied`, refused credentials `Unauthorized`, nobody there
 * `Unreachable`, a closed connection `Closed`. The cause is a copy without the client's own objects.
 */
export function asKvError(thrown: unknown, what: string, attempt: Attempt = 'read'): KvError {
  if (KvError.is(thrown)) return thrown
  const cause = plainCopy(thrown)
  return new KvError(codeOf(thrown, attempt), `${what}: ${cause.message}`, { cause })
}

function codeOf(thrown: unknown, attempt: Attempt): KvErrorCode {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const known = BY_NAME[error.name]
    if (known === 'late') return attempt === 'write' ? 'OutcomeUnknown' : 'Timeout'
    if (known !== undefined) return known
    if (error.name === 'InvalidArgumentError' && error.message.includes('max_payload')) return 'ValueTooLarge'
  }
  return attempt === 'write' ? 'OutcomeUnknown' : 'Unreachable'
}

const MAX_CAUSES = 4

/** Name, message and a system error's code, and the same of its causes. */
function plainCopy(thrown: unknown, depth = 0): Error {
  if (!(thrown instanceof Error)) return new Error('something that is no error was thrown')
  const inner =
    thrown.cause !== undefined && depth < MAX_CAUSES ? plainCopy(thrown.cause, depth + 1) : undefined
  const copy = new Error(redact(thrown.message), inner === undefined ? {} : { cause: inner })
  copy.name = thrown.name
  const { code } = thrown as { readonly code?: unknown }
  if (typeof code === 'string') Object.assign(copy, { code: redact(code) })
  return copy
}

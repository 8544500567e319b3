import { KvError, VersionToken, type BulkOperation, type BulkOutcome } from '@slip/kv-core'
import type { KvPurge, KvTtl, KvWriter, WaitOptions } from '@slip/kv-core'

import { explained } from '../bucket/missing-bucket.ts'
import type { BucketContext } from '../bucket-context.ts'
import { checkKey } from '../key.ts'
import { readAtLeader, type StoredMessage } from '../read/point-read.ts'
import { readHeaders } from '../session/message-headers.ts'
import type { AckInbox } from './ack-inbox.ts'
import { pipelined } from './bulk.ts'

type Fields = readonly (readonly [name: string, value: string])[]

export interface WriterParts {
  readonly context: BucketContext
  readonly inbox: AckInbox
  /** The largest payload the server takes; undefined when it is not connected. */
  readonly maxPayloadBytes: () => number | undefined
  /** Whether the bucket has per-key TTL; asked again while it says no. */
  readonly messageTtls: () => Promise<boolean>
}

const EXPECTED = 'Nats-Expected-Last-Subject-Sequence'
const DELETE: Fields = [['KV-Operation', 'DEL']]
const PURGE: Fields = [
  ['KV-Operation', 'PURGE'],
  ['Nats-Rollup', 'sub'],
]
const NOTHING = new Uint8Array(0)
/** Each loss is to another writer of the same key, who then won. */
const CREATE_ATTEMPTS = 8
const DEFAULT_WINDOW = 1_000
const encoder = new TextEncoder()

/**
 * Writes to one bucket. All are pipelined: a call does not wait for the one before it. What timed out
 * or lost its connection is `OutcomeUnknown`: read the key (`entry`) before writing again.
 */
export class NatsWriter implements KvWriter, KvPurge {
  readonly #parts: WriterParts
  /** Times to live are rounded up to whole seconds; `RangeError` below 1 ms. */
  readonly ttl: KvTtl = {
    put: async (key, value, ttlMs, options) =>
      await this.#write('put', key, bytesOf(value), await this.#ttlField(ttlMs), options),
    create: async (key, value, ttlMs, options) =>
      await this.#create(key, bytesOf(value), await this.#ttlField(ttlMs), options),
    update: async (key, value, expected, ttlMs, options) => {
      const fields = [...expectedField(key, expected), ...(await this.#ttlField(ttlMs))]
      return await this.#write('update', key, bytesOf(value), fields, options)
    },
  }

  constructor(parts: WriterParts) {
    this.#parts = parts
  }

  async put(key: string, value: Uint8Array | string, options?: WaitOptions): Promise<VersionToken> {
    return await this.#write('put', key, bytesOf(value), undefined, options)
  }

  async create(key: string, value: Uint8Array | string, options?: WaitOptions): Promise<VersionToken> {
    return await this.#create(key, bytesOf(value), [], options)
  }

  async update(
    key: string,
    value: Uint8Array | string,
    expected: VersionToken,
    options?: WaitOptions,
  ): Promise<VersionToken> {
    return await this.#write('update', key, bytesOf(value), expectedField(key, expected), options)
  }

  async delete(key: string, options?: WaitOptions): Promise<VersionToken> {
    return await this.#write('delete', key, NOTHING, DELETE, options)
  }

  async deleteWithVersion(key: string, expected: VersionToken, options?: WaitOptions): Promise<VersionToken> {
    return await this.#write('delete', key, NOTHING, expectedField(key, expected), options)
  }

  async purge(key: string, options?: WaitOptions): Promise<VersionToken> {
    return await this.#write('purge', key, NOTHING, PURGE, options)
  }

  /**
   * Writes many, `window` of them (default 1,000) in flight. A refusal is the outcome of its operation.
   * Leaving early, an abort or a failing input stops sending; what was sent goes on.
   */
  bulk(
    operations: Iterable<BulkOperation> | AsyncIterable<BulkOperation>,
    options: WaitOptions & { readonly window?: number } = {},
  ): AsyncIterable<BulkOutcome> {
    const { window = DEFAULT_WINDOW, signal, timeoutMs } = options
    if (!Number.isSafeInteger(window) || window < 1)
      throw new RangeError(`window must be a whole number above 0, not ${window}`)
    return pipelined(operations, (operation) => this.#outcome(operation, { timeoutMs }), { window, signal })
  }

  async #outcome(operation: BulkOperation, options: WaitOptions): Promise<BulkOutcome> {
    const { key } = operation
    try {
      if (operation.operation === 'delete') return { key, version: await this.delete(key, options) }
      const value = bytesOf(operation.value)
      if (operation.operation === 'create')
        return { key, version: await this.#create(key, value, [], options) }
      return { key, version: await this.#write('put', key, value, undefined, options) }
    } catch (error) {
      if (KvError.is(error)) return { key, error }
      throw error
    }
  }

  async #write(
    verb: string,
    key: string,
    payload: Uint8Array,
    fields: Fields | undefined,
    options: WaitOptions = {},
  ): Promise<VersionToken> {
    checkKey(key)
    const { context, inbox, maxPayloadBytes } = this.#parts
    const what = `${verb} ${key}`
    if (context.mirrorOf !== undefined)
      throw new KvError(
        'Unsupported',
        `${what}: bucket ${context.bucket} is a mirror; write to ${context.mirrorOf}`,
      )
    const limit = maxPayloadBytes()
    if (limit !== undefined && payload.length > limit)
      throw new KvError('ValueTooLarge', `${what}: ${payload.length} bytes are above the server's ${limit}`)
    const publication = { subject: context.subjectPrefix + key, payload, what, ...(fields && { fields }) }
    try {
      const timeoutMs = options.timeoutMs ?? context.timeoutMs
      const revision = await inbox.publish(publication, { signal: options.signal, timeoutMs })
      return VersionToken.fromRevision(BigInt(revision))
    } catch (error) {
      throw await explained(context, error)
    }
  }

  /** Over nothing, over a marker of a delete, purge or expiry; not over a stored value, an empty one included. */
  async #create(
    key: string,
    payload: Uint8Array,
    fields: Fields,
    options: WaitOptions = {},
  ): Promise<VersionToken> {
    let over = 0
    for (let attempt = 1; ; attempt++) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one attempt depends on how the last one failed
        return await this.#write('create', key, payload, [[EXPECTED, String(over)], ...fields], options)
      } catch (error) {
        if (!KvError.is(error) || error.code !== 'RevisionMismatch') throw error
        // oxlint-disable-next-line no-await-in-loop
        const newest = await readAtLeader(this.#parts.context, key, options)
        if (newest !== undefined && !isMarker(newest))
          throw new KvError('AlreadyExists', `${key} exists already, at revision ${newest.revision}`, {
            cause: error,
          })
        if (attempt === CREATE_ATTEMPTS)
          throw new KvError('AlreadyExists', `create ${key}: others kept writing it`, { cause: error })
        over = newest?.revision ?? 0
      }
    }
  }

  async #ttlField(ttlMs: number): Promise<Fields> {
    if (!Number.isSafeInteger(ttlMs) || ttlMs < 1)
      throw new RangeError(`ttlMs must be a whole number above 0, not ${ttlMs}`)
    // A server before 2.11 stores the value for good and says nothing.
    if (!(await this.#parts.messageTtls()))
      throw new KvError(
        'Unsupported',
        `bucket ${this.#parts.context.bucket} was made without markerTtlMs, so keys cannot expire`,
      )
    return [['Nats-TTL', `${Math.ceil(ttlMs / 1_000)}s`]]
  }
}

function expectedField(key: string, expected: VersionToken): Fields {
  const { revision } = expected
  if (revision === undefined)
    throw new KvError('RevisionMismatch', `${key} cannot be at a version that is no revision`)
  return [[EXPECTED, String(revision)]]
}

function isMarker({ headers }: StoredMessage): boolean {
  if (headers === undefined) return false
  const { fields } = readHeaders(headers)
  const operation = fields.get('kv-operation')
  return operation === 'DEL' || operation === 'PURGE' || fields.has('nats-marker-reason')
}

/** A copy: the client sends later than the caller may change its own. */
function bytesOf(value: Uint8Array | string): Uint8Array {
  return typeof value === 'string' ? encoder.encode(value) : new Uint8Array(value)
}

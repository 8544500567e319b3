import { KvError, Slices, VersionToken } from '@slip/kv-core'
import type { BulkOperation, BulkOutcome, KvPurge, KvTtl, KvWriter, WaitOptions } from '@slip/kv-core'
import type { Bucket, Write } from './bucket.ts'
import { copyOf } from './copy.ts'
import { checkKey } from './key.ts'
import { untilAborted } from './until-aborted.ts'

const NOTHING = new Uint8Array(0)

/** Writes to one bucket, with and without a time to live, and purges. */
export class MemoryWriter implements KvWriter, KvPurge {
  readonly #open: () => Bucket
  /** Writes whose values expire; KvError `Unsupported` unless the bucket has `markerTtlMs`. */
  readonly ttl: KvTtl = {
    put: async (key, value, ttlMs, options) => {
      checkTtl(ttlMs)
      return this.#write({ operation: 'put', key, value: bytesOf(value), ttlMs }, options)
    },
    create: async (key, value, ttlMs, options) => {
      checkTtl(ttlMs)
      return this.#write({ operation: 'put', key, value: bytesOf(value), ttlMs }, options, checkAbsent)
    },
    update: async (key, value, expected, ttlMs, options) => {
      checkTtl(ttlMs)
      return this.#write(
        { operation: 'put', key, value: bytesOf(value), ttlMs },
        options,
        checkRevision(expected),
      )
    },
  }

  constructor(open: () => Bucket) {
    this.#open = open
  }

  async put(key: string, value: Uint8Array | string, options?: WaitOptions): Promise<VersionToken> {
    return this.#write({ operation: 'put', key, value: bytesOf(value) }, options)
  }

  async create(key: string, value: Uint8Array | string, options?: WaitOptions): Promise<VersionToken> {
    return this.#write({ operation: 'put', key, value: bytesOf(value) }, options, checkAbsent)
  }

  async update(
    key: string,
    value: Uint8Array | string,
    expected: VersionToken,
    options?: WaitOptions,
  ): Promise<VersionToken> {
    return this.#write({ operation: 'put', key, value: bytesOf(value) }, options, checkRevision(expected))
  }

  async delete(key: string, options?: WaitOptions): Promise<VersionToken> {
    return this.#write({ operation: 'delete', key, value: NOTHING }, options)
  }

  async deleteWithVersion(key: string, expected: VersionToken, options?: WaitOptions): Promise<VersionToken> {
    return this.#write({ operation: 'put', key, value: NOTHING }, options, checkRevision(expected))
  }

  async purge(key: string, options?: WaitOptions): Promise<VersionToken> {
    return this.#write({ operation: 'purge', key, value: NOTHING }, options)
  }

  async *bulk(
    operations: Iterable<BulkOperation> | AsyncIterable<BulkOperation>,
    options?: WaitOptions & { readonly window?: number },
  ): AsyncGenerator<BulkOutcome, void, undefined> {
    options?.signal?.throwIfAborted()
    const slices = new Slices('memory.bulk')
    for await (const operation of untilAborted(operations, options?.signal)) {
      if (slices.due()) await slices.pause()
      yield await this.#outcomeOf(operation, options)
    }
  }

  /** A refusal is the outcome of one operation; an abort, a lost connection or a missing bucket ends them all. */
  async #outcomeOf(operation: BulkOperation, options: WaitOptions | undefined): Promise<BulkOutcome> {
    const { key } = operation
    try {
      if (operation.operation === 'delete') return { key, version: await this.delete(key, options) }
      return { key, version: await this[operation.operation](key, operation.value, options) }
    } catch (error) {
      if (KvError.is(error) && !ENDS_ALL.has(error.code)) return { key, error }
      throw error
    }
  }

  #write(
    write: Write,
    options: WaitOptions | undefined,
    check?: (bucket: Bucket, key: string) => void,
  ): VersionToken {
    options?.signal?.throwIfAborted()
    checkKey(write.key)
    const bucket = this.#open()
    if (write.ttlMs !== undefined && bucket.settings.markerTtlMs === undefined)
      throw new KvError(
        'Unsupported',
        `bucket ${bucket.name} was made without markerTtlMs, so keys cannot expire`,
      )
    check?.(bucket, write.key)
    return VersionToken.fromRevision(BigInt(bucket.write(write).revision))
  }
}

const ENDS_ALL: ReadonlySet<string> = new Set(['Unreachable', 'Closed', 'BucketNotFound'])

/** A tombstone is a stored value: `create` finds it, as it does in NATS. */
function checkAbsent(bucket: Bucket, key: string): void {
  const head = bucket.head(key)
  if (head?.operation === 'put')
    throw new KvError('AlreadyExists', `${key} exists already, at revision ${head.revision}`)
}

function checkRevision(expected: VersionToken): (bucket: Bucket, key: string) => void {
  return (bucket, key) => {
    const found = BigInt(bucket.head(key)?.revision ?? 0)
    if (expected.revision !== found)
      throw new KvError(
        'RevisionMismatch',
        `${key} is at revision ${found}, not ${expected.revision ?? 'the one expected'}`,
      )
  }
}

function checkTtl(ttlMs: number): void {
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1)
    throw new RangeError(`ttlMs must be a whole number above 0, not ${ttlMs}`)
}

function bytesOf(value: Uint8Array | string): Uint8Array {
  return typeof value === 'string' ? new TextEncoder().encode(value) : copyOf(value)
}

import { KvError, type StoreConfig } from '@slip/kv-core'
import { bucketSettings } from './bucket-settings.ts'
import type { Bucket } from './bucket.ts'
import type { Buckets } from './buckets.ts'
import { checkKey } from './key.ts'
import type { Message } from './message.ts'

/** What a bucket held at one moment. */
export interface BucketBackup {
  readonly lastRevision: bigint
  readonly messages: readonly Readonly<Message>[]
}

export interface FaultOptions {
  /** Open watches hear nothing and go on, as those of some servers do. @default false */
  readonly silent?: boolean
}

/**
 * What happens to real buckets, on command: for tests of programs that must survive it. Each is
 * silent towards watches unless said otherwise. KvError `BucketNotFound` for a name that is not there.
 */
export class MemoryFaults {
  readonly #buckets: Buckets

  constructor(buckets: Buckets) {
    this.#buckets = buckets
  }

  /** Deletes the bucket and makes it again, empty, with the same settings. Open watches end with KvError `BucketRecreated`. */
  recreate(name: string, { silent = false }: FaultOptions = {}): void {
    this.#buckets.recreate(name, silent)
  }

  /**
   * The bucket loses everything above `toRevision` and gives those revisions again, like a server that
   * lost its newest writes; what the lost messages had superseded stays lost. Open watches end with
   * KvError `Unreachable`. `RangeError` for a revision the bucket never had.
   */
  rollback(name: string, toRevision: bigint, { silent = false }: FaultOptions = {}): void {
    const bucket = this.#buckets.open(name)
    if (toRevision < 0n || toRevision > BigInt(bucket.log.lastRevision))
      throw new RangeError(
        `bucket ${name} ends at revision ${bucket.log.lastRevision}, not at ${toRevision} or above`,
      )
    if (!silent) bucket.failSessions(lost())
    bucket.rollback(Number(toRevision))
  }

  /** For `restore`. */
  backup(name: string): BucketBackup {
    const bucket = this.#buckets.open(name)
    return { lastRevision: BigInt(bucket.log.lastRevision), messages: bucket.messages() }
  }

  /**
   * The bucket holds what it held when `backup` was taken, and gives the revisions since then again:
   * a server that was put back to a copy of its files. Its incarnation stays. Open watches end with
   * KvError `Unreachable`.
   */
  restore(name: string, backup: BucketBackup, { silent = false }: FaultOptions = {}): void {
    const bucket = this.#buckets.open(name)
    if (!silent) bucket.failSessions(lost())
    bucket.restore(backup.messages, Number(backup.lastRevision))
  }

  /** Other limits for an existing bucket, applied at once. `RangeError` for a value no server accepts. */
  reconfigure(
    name: string,
    config: Pick<StoreConfig, 'history' | 'maxAgeMs' | 'maxBytes' | 'discard'>,
  ): void {
    const bucket = this.#buckets.open(name)
    const { history, maxAgeMs, maxBytes, discard } = { ...bucket.settings, ...config }
    const limits = bucketSettings({
      history,
      discard,
      ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
      ...(maxBytes === undefined ? {} : { maxBytes }),
    })
    bucket.reconfigure({
      ...bucket.settings,
      history,
      discard,
      maxAgeMs: limits.maxAgeMs,
      maxBytes: limits.maxBytes,
    })
  }

  /** Writes a key that leaves after `ttlMs` without a marker, as where a bucket was made without any. */
  putExpiring(name: string, key: string, value: string, ttlMs: number): bigint {
    checkKey(key)
    const bucket = this.#buckets.open(name)
    const write = { operation: 'put', key, value: new TextEncoder().encode(value), ttlMs } as const
    return BigInt(bucket.write(write).revision)
  }

  /** Removes the markers of deleted keys, as the clean-up of every client does. Gives the number of keys. */
  purgeDeletes(name: string): number {
    const bucket = this.#buckets.open(name)
    const keys = [...bucket.keys()].filter((key) => bucket.head(key)!.operation !== 'put')
    for (const key of keys) removeKey(bucket, key)
    return keys.length
  }

  /** Removes the oldest `count` messages, as a limit of the bucket would. */
  evict(name: string, count: number): void {
    const bucket = this.#buckets.open(name)
    for (let i = 0; i < count; i++) {
      const oldest = bucket.log.after(0)
      if (oldest === undefined) return
      bucket.remove(oldest)
    }
  }

  /** Removes one message without a marker; false when the bucket does not hold it. An older revision of the key is uncovered. */
  removeMessage(name: string, revision: bigint): boolean {
    const bucket = this.#buckets.open(name)
    const message = bucket.log.at(Number(revision))
    if (message === undefined) return false
    bucket.remove(message)
    return true
  }

  /** Removes every message of the keys under a prefix without a marker: a purge through the stream's API. Gives the number of keys. */
  purgePrefix(name: string, prefix: string): number {
    const bucket = this.#buckets.open(name)
    const keys = [...bucket.keys()].filter((key) => key.startsWith(prefix))
    for (const key of keys) removeKey(bucket, key)
    return keys.length
  }

  /** Every call fails with KvError `Unreachable` until `reconnect`, and open watches end with it. */
  disconnect(): void {
    this.#buckets.disconnect()
  }

  reconnect(): void {
    this.#buckets.reconnect()
  }
}

function lost(): KvError {
  return new KvError('Unreachable', 'the connection was lost')
}

function removeKey(bucket: Bucket, key: string): void {
  for (let head = bucket.head(key); head !== undefined; head = bucket.head(key)) bucket.remove(head)
}

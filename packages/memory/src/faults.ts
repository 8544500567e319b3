import type { Bucket } from './bucket.ts'
import type { Buckets } from './buckets.ts'
import { KvError } from '@slip/kv-core'

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
  recreate(name: string): void {
    this.#buckets.recreate(name)
  }

  /**
   * The bucket loses everything above `toRevision` and gives those revisions again, like a server that
   * came back from a backup; what the lost messages had superseded stays lost. Open watches end with
   * KvError `Unreachable`. `RangeError` for a revision the bucket never had.
   */
  rollback(name: string, toRevision: bigint): void {
    const bucket = this.#buckets.open(name)
    if (toRevision < 0n || toRevision > BigInt(bucket.log.lastRevision))
      throw new RangeError(
        `bucket ${name} ends at revision ${bucket.log.lastRevision}, not at ${toRevision} or above`,
      )
    bucket.failSessions(new KvError('Unreachable', 'the connection was lost'))
    bucket.rollback(Number(toRevision))
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

function removeKey(bucket: Bucket, key: string): void {
  for (let head = bucket.head(key); head !== undefined; head = bucket.head(key)) bucket.remove(head)
}

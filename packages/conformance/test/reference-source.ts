import {
  KvError,
  VersionToken,
  WatchCursor,
  scopeCovers,
  scopePrefixes,
  type BulkOutcome,
  type KvEntry,
  type KvHistory,
  type KvReader,
  type KvStore,
  type KvUpdate,
  type KvWatcher,
  type KvWriter,
  type Listing,
  type SourceDescription,
  type StoredMessage,
  type WaitOptions,
  type WatchBatch,
  type WatchOptions,
  type WatchScope,
} from '@slip/kv-core'
import { ReferenceBucket, type Message } from './reference-bucket.ts'

const HEARTBEAT_MS = 100
const BATCH = 100

export interface ReferenceSource extends KvStore {
  readonly watcher: KvWatcher
  readonly writer: KvWriter
  close(): Promise<void>
}

/** The simplest honest source: a log in memory, read by position. */
export function referenceSource(bucket: ReferenceBucket): ReferenceSource {
  const closing = new AbortController()
  return {
    name: 'reference',
    watcher: {
      describe: async (scope, options) => (goOn(options), describe(bucket, scope)),
      watch: (scope, options) => watch(bucket, scope, options, closing.signal),
      history: history(bucket),
    },
    reader: reader(bucket),
    writer: writer(bucket),
    ttl: {
      put: async (key, value, ttlMs, options) => (goOn(options), bucket.writeFor(ttlMs, key, value)),
      create: async (key, value, ttlMs, options) => (
        goOn(options),
        mustBeFree(bucket, key),
        bucket.writeFor(ttlMs, key, value)
      ),
    },
    purger: { purge: async (key, options) => (goOn(options), bucket.write('purge', key)) },
    close: async () => closing.abort(),
  }
}

async function* watch(
  bucket: ReferenceBucket,
  scope: WatchScope,
  { after, signal, emptyValues }: WatchOptions,
  closing: AbortSignal,
): AsyncGenerator<WatchBatch> {
  const prefixes = scopePrefixes(scope)
  const stop = AbortSignal.any([signal, closing])
  const existed = bucket.lastRevision
  let position = positionOf(after)
  let told = false
  for (;;) {
    signal.throwIfAborted()
    if (closing.aborted) throw new KvError('Closed', 'the source is closed')
    const waiting = bucket.newest().filter(({ revision }) => revision > position)
    const taken = waiting.slice(0, BATCH)
    position = waiting.length > BATCH ? taken.at(-1)!.revision : bucket.lastRevision
    const updates = taken
      .filter(({ key }) => scopeCovers(prefixes, key))
      .map((message) => toUpdate(message, emptyValues))
    const caughtUp: boolean = !told && position >= existed
    told ||= caughtUp
    yield { updates, bookmark: WatchCursor.fromRevision(position), caughtUp }
    if (position >= bucket.lastRevision) await bucket.changed(HEARTBEAT_MS, stop)
  }
}

function positionOf(after: WatchCursor | undefined): bigint {
  if (after === undefined || after.isNone) return 0n
  const { revision } = after
  if (revision === undefined || revision === 2n ** 64n - 1n)
    throw new KvError('CursorExpired', `no watch goes on from ${after.toHex()}`)
  return revision
}

function toUpdate(message: Message, emptyValues: WatchOptions['emptyValues']): KvUpdate {
  const { key, operation, value, reason, writtenAtMs } = message
  const version = VersionToken.fromRevision(message.revision)
  if (operation === 'put' && (value.length > 0 || emptyValues === 'keep'))
    return { operation, key, value: value.slice(), version, writtenAtMs }
  if (operation === 'put') return { operation: 'delete', key, version, reason: 'tombstone', writtenAtMs }
  return { operation, key, version, writtenAtMs, ...(reason === undefined ? {} : { reason }) }
}

function history(bucket: ReferenceBucket): KvHistory {
  const stored = (message: Message | undefined): StoredMessage | undefined =>
    message && { key: message.key, revision: message.revision, writtenAtMs: message.writtenAtMs }
  return {
    at: async (revision, options) => (
      goOn(options),
      stored(bucket.newest().find((message) => message.revision === revision))
    ),
    newest: async (key, options) => (goOn(options), stored(bucket.get(key))),
    firstAfter: async (after, scope, options) => {
      goOn(options)
      const prefixes = scopePrefixes(scope)
      return stored(
        bucket.newest().find(({ key, revision }) => revision > after && scopeCovers(prefixes, key)),
      )
    },
  }
}

function describe(bucket: ReferenceBucket, scope: WatchScope): SourceDescription {
  const prefixes = scopePrefixes(scope)
  const messages = bucket.newest()
  return {
    kind: 'reference',
    name: 'reference',
    incarnation: bucket.incarnation,
    firstRevision: messages[0]?.revision ?? bucket.lastRevision + 1n,
    lastRevision: bucket.lastRevision,
    keyCount: BigInt(messages.filter(({ key }) => scopeCovers(prefixes, key)).length),
    historyPerKey: 1,
  }
}

function toEntry(message: Message): KvEntry {
  return {
    key: message.key,
    value: message.value.slice(),
    version: VersionToken.fromRevision(message.revision),
  }
}

function reader(bucket: ReferenceBucket): KvReader {
  const entry = async (key: string, options?: WaitOptions): Promise<KvEntry | undefined> => {
    goOn(options)
    const message = bucket.get(key)
    return message?.operation === 'put' ? toEntry(message) : undefined
  }
  const scan = (prefix = '', options?: WaitOptions): Listing<KvEntry> => {
    const entries = bucket
      .newest()
      .filter(
        ({ key, operation, value }) => key.startsWith(prefix) && operation === 'put' && value.length > 0,
      )
      .map(toEntry)
    return listingOf(entries, WatchCursor.fromRevision(bucket.lastRevision), options)
  }
  return {
    entry,
    scan,
    keys: scan,
    get: async (key, options) => {
      const found = await entry(key, options)
      return found?.value.length === 0 ? undefined : found
    },
  }
}

function writer(bucket: ReferenceBucket): KvWriter {
  const self: KvWriter = {
    put: async (key, value, options) => (goOn(options), bucket.write('put', key, value)),
    create: async (key, value, options) => (
      goOn(options),
      mustBeFree(bucket, key),
      bucket.write('put', key, value)
    ),
    update: async (key, value, expected, options) => (
      goOn(options),
      mustBeAt(bucket, key, expected),
      bucket.write('put', key, value)
    ),
    delete: async (key, options) => (goOn(options), bucket.write('delete', key)),
    deleteWithVersion: async (key, expected, options) => (
      goOn(options),
      mustBeAt(bucket, key, expected),
      bucket.write('put', key)
    ),
    bulk: async function* (operations, options) {
      for await (const each of operations) {
        goOn(options)
        const { key } = each
        const version = each.operation === 'delete' ? self.delete(key) : self[each.operation](key, each.value)
        yield await version.then<BulkOutcome, BulkOutcome>(
          (written) => ({ key, version: written }),
          (error: KvError) => ({ key, error }),
        )
      }
      goOn(options)
    },
  }
  return self
}

function mustBeFree(bucket: ReferenceBucket, key: string): void {
  if (bucket.get(key)?.operation === 'put') throw new KvError('AlreadyExists', `${key} exists`)
}

function mustBeAt(bucket: ReferenceBucket, key: string, expected: VersionToken): void {
  if (bucket.get(key)?.revision !== expected.revision || expected.revision === undefined)
    throw new KvError('RevisionMismatch', `${key} is at another revision`)
}

function goOn(options: WaitOptions | undefined): void {
  options?.signal?.throwIfAborted()
}

function listingOf<T>(items: readonly T[], at: WatchCursor, options: WaitOptions | undefined): Listing<T> {
  let complete!: (cursor: WatchCursor) => void
  let leave!: (error: KvError) => void
  const validAt = new Promise<WatchCursor>((resolve, reject) => {
    complete = resolve
    leave = reject
  })
  validAt.catch(() => undefined)
  async function* stream(): AsyncGenerator<T> {
    try {
      for (const item of items) {
        goOn(options)
        yield item
      }
      complete(at)
    } finally {
      leave(new KvError('Closed', 'the listing was left'))
    }
  }
  return { validAt, [Symbol.asyncIterator]: stream }
}

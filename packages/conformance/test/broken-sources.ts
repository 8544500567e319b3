import { setTimeout as sleep } from 'node:timers/promises'
import {
  WatchCursor,
  scopePrefixes,
  type KvHistory,
  type KvUpdate,
  type KvWatcher,
  type StoredMessage,
  type WatchBatch,
  type WatchOptions,
  type WatchScope,
} from '@slip/kv-core'
import { override } from './override.ts'
import type { ReferenceBucket } from './reference-bucket.ts'
import type { ReferenceSource } from './reference-source.ts'

/** A source that breaks one promise, and the case made to say so. */
export interface BrokenSource {
  readonly name: string
  readonly caughtBy: string
  readonly spoil: (source: ReferenceSource, bucket: ReferenceBucket) => ReferenceSource
}

type Watch = KvWatcher['watch']

export const brokenSources: readonly BrokenSource[] = [
  rewatched(
    'says caught up at once',
    'caught-up/once',
    (watch) =>
      async function* (scope, options) {
        let first = true
        for await (const { updates, bookmark } of watch(scope, options)) {
          if (first) yield { updates: [], caughtUp: true }
          first = false
          yield batch(updates, bookmark)
        }
      },
  ),
  rewatched(
    'says that it is at the end before it is',
    'at-end/nothing-beyond',
    (watch) =>
      async function* (scope, options) {
        for await (const { updates, ...rest } of watch(scope, options)) {
          const [first, ...others] = updates
          if (first !== undefined) yield { updates: [first], caughtUp: false, atEnd: true }
          yield { ...rest, updates: others }
        }
      },
  ),
  rewatched('says caught up again and again', 'caught-up/once', (watch) =>
    perBatch(watch, (each) => ({ ...each, caughtUp: true })),
  ),
  rewatched(
    'says nothing about an empty scope',
    'caught-up/empty-scope',
    (watch) =>
      async function* (scope, options) {
        let any = false
        for await (const each of watch(scope, options)) {
          any ||= each.updates.length > 0
          yield { ...each, caughtUp: each.caughtUp && any }
        }
      },
  ),
  rewatched(
    'loses the first update after a resume',
    'resume/exactly-the-difference',
    (watch) => (scope, options) => {
      const { revision } = options.after ?? WatchCursor.none
      if (revision === undefined || revision >= 2n ** 62n) return watch(scope, options)
      return watch(scope, { ...options, after: WatchCursor.fromRevision(revision + 1n) })
    },
  ),
  rewatched(
    'delivers the update at the cursor again',
    'resume/exactly-the-difference',
    (watch) => (scope, options) => {
      const { revision } = options.after ?? WatchCursor.none
      if (revision === undefined || revision === 0n || revision >= 2n ** 62n) return watch(scope, options)
      return watch(scope, { ...options, after: WatchCursor.fromRevision(revision - 1n) })
    },
  ),
  rewatched(
    'starts over from a cursor that it cannot read',
    'resume/foreign-version-refused',
    (watch) => (scope, options) => {
      if (options.after === undefined || options.after.revision !== undefined) return watch(scope, options)
      return watch(scope, { ...options, after: WatchCursor.none })
    },
  ),
  rewatched('gives a bookmark ahead of what it delivered', 'bookmarks/never-lie', (watch) =>
    perBatch(watch, (each) => ({
      ...each,
      ...(each.bookmark?.revision === undefined
        ? {}
        : { bookmark: WatchCursor.fromRevision(each.bookmark.revision + 2n) }),
    })),
  ),
  rewatched('gives no bookmarks', 'bookmarks/quiet-scope', (watch) =>
    perBatch(watch, ({ updates, caughtUp }) => ({ updates, caughtUp })),
  ),
  rewatched('delivers an update twice', 'order/live', (watch) =>
    perBatch(watch, (each) => ({ ...each, updates: each.updates.flatMap((update) => [update, update]) })),
  ),
  rewatched('turns the order round inside a batch', 'order/revisions-ascend', (watch) =>
    perBatch(watch, (each) => ({ ...each, updates: each.updates.toReversed() })),
  ),
  rewatched('takes a prefix for a token', 'prefix/inside-a-token', (watch) => (scope, options) => {
    const tokens = scopePrefixes(scope)
    return perBatch(watch, (each) => ({
      ...each,
      updates: each.updates.filter(({ key }) =>
        tokens.some(
          (token) =>
            token === '' || key === token || key.startsWith(token.endsWith('.') ? token : `${token}.`),
        ),
      ),
    }))(scope, options)
  }),
  rewatched(
    'delivers once for each overlapping prefix',
    'prefix/overlapping',
    (watch) => (scope, options) => {
      const given = typeof scope === 'object' && 'prefixes' in scope ? scope.prefixes : ['']
      return perBatch(watch, (each) => ({
        ...each,
        updates: each.updates.flatMap((update) =>
          given.filter((prefix) => update.key.startsWith(prefix)).map(() => update),
        ),
      }))(scope, options)
    },
  ),
  rewatched(
    'shows a tombstone as a put',
    'removals/tombstone',
    (watch) => (scope, options) => watch(scope, { ...options, emptyValues: 'keep' }),
  ),
  rewatched('keeps an expiry to itself', 'removals/expired', (watch) =>
    perBatch(watch, (each) => ({ ...each, updates: each.updates.filter((update) => !expired(update)) })),
  ),
  rewatched(
    'ends quietly when aborted',
    'abort/rethrows',
    (watch) =>
      async function* (scope, options) {
        try {
          yield* watch(scope, options)
        } catch (error) {
          if (!options.signal.aborted) throw error
        }
      },
  ),
  rewatched(
    'wraps the reason of an abort',
    'abort/between-pulls',
    (watch) =>
      async function* (scope, options) {
        try {
          yield* watch(scope, options)
        } catch (error) {
          throw options.signal.aborted ? new Error('the watch was aborted', { cause: error }) : error
        }
      },
  ),
  rewatched('drops what a slow reader did not take', 'back-pressure/slow-reader', (watch) =>
    perBatch(watch, (each) => ({ ...each, updates: each.updates.filter(({ key }) => key !== 'slow.700') })),
  ),
  rewatched(
    'is silent while nothing happens',
    'liveness/a-batch-a-second',
    (watch) =>
      async function* (scope, options) {
        for await (const each of watch(scope, options)) {
          if (each.updates.length === 0 && !each.caughtUp)
            await sleep(3_500, undefined, { signal: options.signal })
          yield each
        }
      },
  ),
  {
    name: 'counts live keys only',
    caughtBy: 'describe/numbers',
    spoil: (source, bucket) =>
      watched(source, {
        describe: async (scope) => ({
          ...(await source.watcher.describe(scope)),
          keyCount: BigInt(bucket.newest().filter(({ operation }) => operation === 'put').length),
        }),
      }),
  },
  {
    name: 'gives the time of the answer for that of the write',
    caughtBy: 'history/as-delivered',
    spoil: (source) =>
      asked(source, {
        newest: async (key, options) => late(await source.watcher.history!.newest(key, options)),
      }),
  },
  {
    name: 'looks for the first message in the whole bucket',
    caughtBy: 'history/first-after-scope',
    spoil: (source) =>
      asked(source, {
        firstAfter: (revision, _scope, options) =>
          source.watcher.history!.firstAfter(revision, 'all', options),
      }),
  },
  {
    name: 'counts the revision itself as after it',
    caughtBy: 'history/first-after',
    spoil: (source) =>
      asked(source, {
        firstAfter: (revision, scope, options) =>
          source.watcher.history!.firstAfter(revision - 1n, scope, options),
      }),
  },
  {
    name: 'writes although it was told to stop before',
    caughtBy: 'abort/before-a-call',
    spoil: (source) =>
      override(source, {
        writer: override(source.writer, { put: (key, value) => source.writer.put(key, value) }),
      }),
  },
  {
    name: 'cuts an aborted listing short as if it were complete',
    caughtBy: 'abort/in-a-listing',
    spoil: (source) =>
      override(source, {
        reader: override(source.reader, {
          keys: (prefix, options) => {
            const listing = source.reader.keys(prefix)
            return {
              validAt: listing.validAt,
              [Symbol.asyncIterator]: async function* () {
                for await (const each of listing) {
                  if (options?.signal?.aborted === true) return
                  yield each
                }
              },
            }
          },
        }),
      }),
  },
  {
    name: 'lists keys by name',
    caughtBy: 'reader/listing-order',
    spoil: (source) =>
      override(source, {
        reader: override(source.reader, {
          keys: (prefix, options) => {
            const listing = source.reader.keys(prefix, options)
            return {
              validAt: listing.validAt,
              [Symbol.asyncIterator]: async function* () {
                const items = []
                for await (const each of listing) items.push(each)
                yield* items.sort((a, b) => (a.key < b.key ? -1 : 1))
              },
            }
          },
        }),
      }),
  },
  {
    name: 'finishes a bulk write that was aborted',
    caughtBy: 'abort/in-a-bulk-write',
    spoil: (source) =>
      override(source, {
        writer: override(source.writer, { bulk: (operations) => source.writer.bulk(operations) }),
      }),
  },
  {
    name: 'creates over what exists',
    caughtBy: 'writes/create',
    spoil: (source) =>
      override(source, {
        writer: override(source.writer, { create: source.writer.put.bind(source.writer) }),
      }),
  },
]

function rewatched(name: string, caughtBy: string, spoil: (watch: Watch) => Watch): BrokenSource {
  const spoilSource: BrokenSource['spoil'] = (source) =>
    watched(source, { watch: spoil((scope, options) => source.watcher.watch(scope, options)) })
  return { name, caughtBy, spoil: spoilSource }
}

function watched(source: ReferenceSource, parts: Partial<KvWatcher>): ReferenceSource {
  return override(source, { watcher: override(source.watcher, parts) })
}

function asked(source: ReferenceSource, parts: Partial<KvHistory>): ReferenceSource {
  return watched(source, { history: override(source.watcher.history!, parts) })
}

function late(message: StoredMessage | undefined): StoredMessage | undefined {
  return message && { ...message, writtenAtMs: message.writtenAtMs + 60_000 }
}

function perBatch(watch: Watch, change: (each: WatchBatch) => WatchBatch): Watch {
  return async function* (scope: WatchScope, options: WatchOptions) {
    for await (const each of watch(scope, options)) yield change(each)
  }
}

function batch(updates: readonly KvUpdate[], bookmark: WatchCursor | undefined): WatchBatch {
  return { updates, caughtUp: false, ...(bookmark === undefined ? {} : { bookmark }) }
}

function expired(update: KvUpdate): boolean {
  return update.operation !== 'put' && update.reason === 'expired'
}

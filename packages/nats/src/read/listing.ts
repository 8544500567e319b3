import { WatchCursor, type KvPutUpdate, type Listing, type WaitOptions, KvError } from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import { DeliveryDecoder } from '../session/delivery.ts'
import { scopeFilters } from '../session/filters.ts'
import { lineageError } from '../session/stream-facts.ts'
import { StreamPages } from '../session/stream-pages.ts'
import { readStreamFacts } from '../session/stream-probe.ts'
import { HeadersOnlyDecoder } from './headers-only-decoder.ts'
import { ListingWindow } from './listing-window.ts'

/** What a listing is of, and how a live key becomes an item of it. */
export interface ListingPlan<T> {
  readonly prefix: string
  readonly headersOnly: boolean
  readonly item: (update: KvPutUpdate) => T
}

interface Listed {
  readonly key: string
  readonly value?: Uint8Array
}

/**
 * A streamed listing that is right while others write.
 *
 * Up to 16,384 keys or 8 MiB it is exact: what was live at `validAt`, once each. `validAt` is then the
 * end of the listing. In a longer one what was listed first cannot be taken back: `validAt` is the last
 * revision before it began; every key that was live then is there unless it was removed meanwhile, and a
 * key written meanwhile is there with its newest version, perhaps after an older one, or, when it was
 * removed after it was listed, though it is gone.
 *
 * The order is that of each key's last write. KvError as the reader's, `Unreachable` when the connection
 * breaks, `BucketRecreated` when what was listed is not one bucket.
 */
export function listing<T extends Listed>(
  context: BucketContext,
  plan: ListingPlan<T>,
  options: WaitOptions = {},
): Listing<T> {
  let resolveValidAt!: (cursor: WatchCursor) => void
  let rejectValidAt!: (error: unknown) => void
  const validAt = new Promise<WatchCursor>((resolve, reject) => {
    resolveValidAt = resolve
    rejectValidAt = reject
  })
  // Nobody has to look at validAt: without this a failed listing would end the process.
  validAt.catch(() => undefined)
  let started = false

  async function* iterate(): AsyncGenerator<T, void, undefined> {
    if (started) throw new TypeError('a listing can be iterated once')
    started = true
    try {
      options.signal?.throwIfAborted()
      resolveValidAt(yield* items(context, plan, options))
    } catch (error) {
      rejectValidAt(error)
      throw error
    } finally {
      rejectValidAt(new KvError('Closed', 'the listing was left before its end'))
    }
  }

  return { validAt, [Symbol.asyncIterator]: iterate }
}

async function* items<T extends Listed>(
  context: BucketContext,
  { prefix, headersOnly, item }: ListingPlan<T>,
  options: WaitOptions,
): AsyncGenerator<T, WatchCursor, undefined> {
  const start = await readStreamFacts(context, options)
  const { prefixes, subjects, exact } = scopeFilters(context.subjectPrefix, { prefix })
  const Decoder = headersOnly ? HeadersOnlyDecoder : DeliveryDecoder
  const decoder = new Decoder({
    subjectPrefix: context.subjectPrefix,
    prefixes: exact ? undefined : prefixes,
    emptyValues: headersOnly ? 'keep' : 'tombstone',
    messageTtls: start.messageTtls,
    maxAgeMs: start.maxAgeMs,
  })
  const window = new ListingWindow<T>(({ key, value }) => key.length + (value?.length ?? 0))
  const reading = {
    subjects,
    after: 0,
    headersOnly,
    keepsHistory: start.keepsHistory,
    replicated: start.replicas > 1,
    atLeast: start.lastSequence,
  }
  const pages = new StreamPages(context, reading, options, (subject, headers, payload, position) => {
    const update = decoder.decode(subject, headers, payload, position)
    if (typeof update === 'string') return
    if (update.operation === 'put') window.put(item(update))
    else window.remove(update.key)
  })
  try {
    while ((await pages.next()) === 'more') yield* window.excess()
    const now = await readStreamFacts(context, options)
    const wrong = lineageError(context.bucket, now, start.created, 0)
    if (wrong !== undefined) throw wrong
    yield* window.rest()
    const end = Math.max(pages.position, start.lastSequence)
    return WatchCursor.fromRevision(BigInt(window.overflowed ? start.lastSequence : end))
  } finally {
    pages.close()
  }
}

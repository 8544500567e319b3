import { KvError, WatchCursor, type KvPutUpdate, type Listing, type WaitOptions } from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import { ListingSession } from './listing-session.ts'
import { ListingWindow } from './listing-window.ts'

/** What a listing is of, and how a live key becomes an item of it. */
export interface ListingPlan<T> {
  readonly prefix: string
  readonly headersOnly: boolean
  readonly item: (update: KvPutUpdate) => T
}

/**
 * A streamed listing that is right while others write.
 *
 * Up to 16,384 keys or 8 MiB it is exact: what was live at `validAt`, once each. A longer one lets keys
 * go before it has seen the end: it is complete at `validAt`, the last revision before it began, and a
 * key written while it ran may come again with its newer version, or may be listed though it was just
 * removed.
 */
export function listing<T extends { readonly key: string; readonly value?: Uint8Array }>(
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
    const session = new ListingSession(context, options)
    try {
      options.signal?.throwIfAborted()
      resolveValidAt(yield* items(session, plan))
    } catch (error) {
      rejectValidAt(error)
      throw error
    } finally {
      rejectValidAt(new KvError('Closed', 'the listing was left before its end'))
      session.close()
    }
  }

  return { validAt, [Symbol.asyncIterator]: iterate }
}

async function* items<T extends { readonly key: string; readonly value?: Uint8Array }>(
  session: ListingSession,
  plan: ListingPlan<T>,
): AsyncGenerator<T, WatchCursor, undefined> {
  const lastBefore = WatchCursor.fromRevision(await session.open(plan.prefix, plan.headersOnly))
  const window = new ListingWindow<T>(({ key, value }) => key.length + (value?.length ?? 0))
  for (;;) {
    const { updates, caughtUp, bookmark } = await session.take()
    for (const update of updates)
      if (update.operation === 'put') window.put(plan.item(update))
      else window.remove(update.key)
    yield* window.excess()
    if (!caughtUp) continue
    await session.confirm()
    yield* window.rest()
    return window.overflowed ? lastBefore : (bookmark ?? lastBefore)
  }
}

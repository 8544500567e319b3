import { KvError, WatchCursor, type KvPutUpdate, type Listing, type WaitOptions } from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import { ListingProof } from './listing-proof.ts'
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
 * Up to 16,384 keys or 8 MiB it is exact: what was live at `validAt`, once each. `validAt` is then the
 * end of the listing. Where that cannot be kept (a longer listing, or writes to the prefix that never
 * leave a gap), `validAt` is the last revision before the listing began: every key that was live then
 * and not written since is there, and a key written meanwhile may come with its newer version, twice,
 * or though it was just removed.
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
  const lastBefore = await session.open(plan.prefix, plan.headersOnly)
  const window = new ListingWindow<T>(({ key, value }) => key.length + (value?.length ?? 0))
  const proof = new ListingProof(lastBefore, plan.prefix === '')
  while (proof.open) {
    const batch = await session.take()
    for (const update of batch.updates)
      if (update.operation === 'put') window.put(plan.item(update))
      else window.remove(update.key)
    yield* window.excess()
    proof.received(batch)
    if (proof.due) proof.lastRevision(await session.lastRevision())
  }
  yield* window.rest()
  const exactAt = window.overflowed ? undefined : proof.exactAt
  return WatchCursor.fromRevision(exactAt ?? lastBefore)
}

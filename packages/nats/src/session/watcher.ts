import type {
  KvWatcher,
  SourceDescription,
  WaitOptions,
  WatchBatch,
  WatchOptions,
  WatchScope,
} from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import { describeBucket } from './describe.ts'
import { NatsHistory } from './history.ts'
import { ClientReceivePath, type ReceivePath } from './receive-path.ts'
import { Session, type Described, type SessionStats } from './session.ts'

/** A bucket's watcher, with counters over its sessions. */
export interface NatsWatcher extends KvWatcher {
  readonly stats: Readonly<SessionStats>
}

/**
 * The watcher of a bucket. Each `watch` makes a consumer of its own (see {@link Session}) and ends
 * with KvError: `Unreachable` when messages were or may have been lost, `BucketNotFound`,
 * `BucketRecreated`, `BucketRolledBack`, `CursorExpired`, `PermissionDenied`, `Unauthorized`,
 * `Timeout`, `Closed`.
 *
 * A session compares the bucket with what the last `describe` of this watcher saw: one that was
 * recreated since is `BucketRecreated` until it is described again.
 */
export function createNatsWatcher(
  context: BucketContext,
  path: ReceivePath = new ClientReceivePath(context.connection),
): NatsWatcher {
  const stats: SessionStats = { sessions: 0, undecodableKeys: 0, peakQueuedBytes: 0 }
  let described: Described | undefined
  return {
    stats,
    history: new NatsHistory(context),
    async describe(scope: WatchScope, options: WaitOptions = {}): Promise<SourceDescription> {
      const { description, facts } = await describeBucket(context, scope, options)
      described = { created: facts.created, firstSequence: facts.firstSequence }
      return description
    },
    watch(scope: WatchScope, options: WatchOptions): AsyncIterable<WatchBatch> {
      return batches(context, path, { scope, options, described, stats })
    },
  }
}

async function* batches(
  context: BucketContext,
  path: ReceivePath,
  plan: ConstructorParameters<typeof Session>[2],
): AsyncGenerator<WatchBatch> {
  plan.options.signal.throwIfAborted()
  const session = new Session(context, path, plan)
  try {
    await session.open()
    for (;;) yield await session.take()
  } finally {
    session.close()
  }
}

import { setTimeout as wait } from 'node:timers/promises'
import { atLeast } from '@slip/nats-server'
import type { FaultId } from './cell.ts'
import type { MatrixBucket, StreamSettings } from './matrix-bucket.ts'
import { overwriteHistory } from './workload.ts'

const NANOSECONDS_PER_MS = 1_000_000
const AGE_MS = 4_000
const GONE_WITHIN_MS = 15_000

export interface FaultContext {
  readonly serverVersion: string
  /** The names of the advances written since the seed, in order. */
  readonly advances: readonly string[]
}

/** A fault that the API of a server can cause. */
export interface Fault {
  readonly title: string
  /** What the bucket needs to be prone to it. */
  readonly settings?: StreamSettings
  /** Written before the follower comes. */
  prepare?(bucket: MatrixBucket): Promise<void>
  /** Resolves when the keys are gone, or the history is another. */
  cause(bucket: MatrixBucket, context: FaultContext): Promise<void>
}

/** What happens to `route.5`, which every scope covers and no write touches otherwise, and to its neighbours. */
export const API_FAULTS: Readonly<Record<Exclude<FaultId, 'H10' | 'H11'>, Fault>> = {
  H1: {
    title: 'the whole stream purged',
    cause: async (bucket) => await bucket.purge(),
  },
  H2: {
    title: 'purged with a filter',
    cause: async (bucket) => await bucket.purge('*.5'),
  },
  H3: {
    title: 'a single message deleted',
    cause: async (bucket) => await bucket.deleteMessage('route.5'),
  },
  H4: {
    title: 'max_age passed',
    settings: { max_age: AGE_MS * NANOSECONDS_PER_MS, duplicate_window: AGE_MS * NANOSECONDS_PER_MS },
    cause: async (bucket) =>
      await until('the stream is empty', async () => (await bucket.facts()).subjectCount === 0),
  },
  H5: {
    title: 'a message outlived its TTL',
    settings: { allow_msg_ttl: true },
    prepare: async (bucket) => void (await bucket.put('route.5', 'short-lived', `${AGE_MS / 1_000}s`)),
    cause: async (bucket, { serverVersion }) => {
      if (atLeast(serverVersion, '2.11'))
        await until('the key is gone', async () => !(await bucket.has('route.5')))
      else await wait(AGE_MS + 1_500)
    },
  },
  H6: {
    title: 'max_bytes reached with discard old',
    settings: { max_bytes: 8 * 1024, discard: 'old' },
    cause: async (bucket) => {
      const filler = 'x'.repeat(200)
      for (let i = 0; i < 28; i++) await bucket.put(`route.fill-${i}`, filler)
    },
  },
  H7: {
    title: 'a limit lowered',
    cause: async (bucket) => await bucket.update({ max_msgs: 20, discard: 'old' }),
  },
  H8: {
    title: 'deleted, and the markers cleaned up',
    cause: async (bucket) => {
      await bucket.delete('route.5')
      await bucket.delete('cert.5')
      await bucket.purgeDeletes()
    },
  },
  H9: {
    title: 'the bucket deleted and created again',
    cause: async (bucket) => {
      await bucket.destroy()
      await bucket.create()
      for (let i = 0; i < 60; i++) await bucket.put(`${['route', 'cert', 'node'][i % 3]}.again-${i}`, `${i}`)
    },
  },
  H12: {
    title: "a key's newest of several revisions removed",
    settings: { max_msgs_per_subject: 5 },
    prepare: overwriteHistory,
    cause: async (bucket) => await bucket.deleteMessage('route.5'),
  },
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + GONE_WITHIN_MS
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${GONE_WITHIN_MS} ms: ${what}`)
    await wait(20)
  }
}

import type { StoreConfig } from '@slip/kv-core'
import { BUCKET, type MemoryWorld } from './memory-world.ts'

/** Something that happens to a bucket, after which a fold is wrong and nobody is told. */
export interface Divergence {
  readonly id: string
  readonly title: string
  readonly config?: StoreConfig
  /** Writes what the fold has to see before, and gives what makes it happen. */
  readonly arrange: (world: MemoryWorld) => Promise<() => Promise<void>>
}

const AGE_MS = 60_000

/** The twelve silent divergences, as a server makes them. They concern keys under `a.`, which every scope has. */
export const DIVERGENCES: readonly Divergence[] = [
  {
    id: 'H1',
    title: 'the whole stream is purged',
    arrange:
      async ({ faults }) =>
      async () =>
        void faults.purgePrefix(BUCKET, ''),
  },
  {
    id: 'H2',
    title: 'subjects are purged',
    arrange:
      async ({ faults }) =>
      async () =>
        void faults.purgePrefix(BUCKET, 'a.1'),
  },
  {
    id: 'H3',
    title: 'one message is removed',
    arrange: async (world) => async () => await removeNewest(world, 'a.3'),
  },
  {
    id: 'H4',
    title: 'live keys reach the age of the bucket',
    config: { maxAgeMs: AGE_MS },
    arrange: async (world) => {
      world.pass(AGE_MS - 10_000)
      await world.put('a.2', 'b.2', 'c.2')
      return async () => world.pass(20_000)
    },
  },
  {
    id: 'H5',
    title: 'a key with a time to live expires where there are no markers',
    arrange: async (world) => {
      world.faults.putExpiring(BUCKET, 'a.lease', 'held', 30_000)
      await world.put('a.2')
      return async () => world.pass(40_000)
    },
  },
  {
    id: 'H6',
    title: 'a full bucket evicts its oldest keys',
    config: { maxBytes: 60_000, discard: 'old' },
    arrange: async (world) => async () => {
      for (let i = 0; i < 1_000; i++) await world.put(`a.more.${i}`)
    },
  },
  {
    id: 'H7',
    title: 'a limit of the bucket is lowered',
    arrange:
      async ({ faults }) =>
      async () => {
        faults.reconfigure(BUCKET, { maxBytes: 3_000, discard: 'old' })
      },
  },
  {
    id: 'H8',
    title: 'a key is deleted and its marker cleaned up',
    arrange:
      async ({ faults, store }) =>
      async () => {
        await store.writer.delete('a.5')
        faults.purgeDeletes(BUCKET)
      },
  },
  {
    id: 'H9',
    title: 'the bucket is deleted, made again, and written further than before',
    arrange: async (world) => async () => {
      const last = Number(await world.last())
      world.faults.recreate(BUCKET, { silent: true })
      for (let i = 0; i <= last; i++) await world.put(`a.${i % 20}`)
    },
  },
  {
    id: 'H10',
    title: 'the bucket is put back to an older copy and written further than before, with the same keys',
    arrange: async (world) => {
      const backup = world.faults.backup(BUCKET)
      await world.put('a.1', 'a.2', 'a.3')
      return async () => {
        world.faults.restore(BUCKET, backup, { silent: true })
        await world.put('a.4', 'a.5', 'a.6', 'a.7')
      }
    },
  },
  {
    id: 'H11',
    title: 'the bucket loses its newest revisions, and a cursor lies above its end',
    arrange: async (world) => {
      await world.put('a.1', 'a.new')
      return async () => {
        world.faults.rollback(BUCKET, (await world.last()) - 2n, { silent: true })
      }
    },
  },
  {
    id: 'H12',
    title: 'the newest revision of a key is removed, which uncovers the older one',
    config: { history: 3 },
    arrange: async (world) => {
      await world.put('a.4')
      return async () => await removeNewest(world, 'a.4')
    },
  },
]

async function removeNewest({ faults, store }: MemoryWorld, key: string): Promise<void> {
  faults.removeMessage(BUCKET, (await store.watcher.history.newest(key))!.revision)
}

import {
  WatchCursor,
  type KvUpdate,
  type SnapshotLocation,
  type SnapshotStore,
  type StagedFold,
  type StoreFeatures,
} from '@slip/kv-core'
import { applied, type FoldContent } from '../oracle/fold-content.ts'
import type { Ledger } from '../oracle/ledger.ts'
import type { Verdict } from '../oracle/verdict.ts'
import type { SimProcess } from '../world/sim-process.ts'
import type { WriterWatch } from '../oracle/writer-watch.ts'

/** What is to be seen of a store, and what a planted bug changes in it. */
export interface Observation {
  readonly process: SimProcess
  readonly ledger: Ledger
  readonly verdict: Verdict
  readonly writers: WriterWatch
  readonly maxValueBytes: number
  readonly committed: () => void
  /** A staged fold is the fold now. */
  readonly swapped: (cursor: WatchCursor) => void
  /** A staged fold is about to be swapped in. */
  readonly swapping: () => void
  /** The fold that was in use before still is. */
  readonly kept: () => void
  /** A planted bug in place of the store's own `apply`. */
  readonly apply?: (store: SnapshotStore, ...args: Parameters<SnapshotStore['apply']>) => Promise<void>
}

/** The same location; everything its stores commit, and what they hold when they are opened, is checked. */
export function observedLocation<S extends SnapshotStore>(
  location: SnapshotLocation<S>,
  observation: Observation,
): SnapshotLocation<S> {
  const { ledger, verdict, writers, process, swapped, kept } = observation
  let lastError: unknown
  return {
    ...location,
    open: async (options) => {
      try {
        const store = await location.open(options)
        writers.opened(process)
        if (ledger.opened(store, store.recovery)) swapped(store.cursor)
        else kept()
        ledger.durable(store.durableCursor)
        verdict.count('opens')
        return observedStore(store, observation)
      } catch (error) {
        lastError = error
        throw error
      }
    },
    setAside: async () => {
      const code = (lastError as { code?: unknown } | undefined)?.code
      const attempt = ledger.setAside(code === 'Corrupted' || code === 'InvalidFormat')
      const name = await location.setAside!()
      attempt.acknowledge()
      return name
    },
  }
}

function observedStore<S extends SnapshotStore>(store: S, observation: Observation): S {
  const { ledger, verdict, writers, process, committed } = observation
  const apply = observation.apply ?? ((inner, ...args) => inner.apply(...args))
  let applying = false
  const durable = (): void => ledger.durable(store.durableCursor)
  const own = {
    apply: async (...args: Parameters<SnapshotStore['apply']>) => {
      const [updates, cursor] = args
      if (applying) verdict.violated(3, 'two applies of one store overlap')
      applying = true
      const attempt = ledger.commit(updates, cursor)
      try {
        await apply(store, ...args)
        attempt.acknowledge()
        durable()
        verdict.count('commits')
      } finally {
        applying = false
      }
      committed()
    },
    sync: async (): Promise<WatchCursor> => {
      const cursor = await store.sync()
      ledger.durable(cursor)
      return cursor
    },
    stage: async (...args: Parameters<NonNullable<SnapshotStore['stage']>>): Promise<StagedFold> => {
      const staged = await store.stage!(...args)
      return observedStage(staged, observation)
    },
    close: async () => {
      writers.closing(process)
      await store.close()
      durable()
    },
  }
  return new Proxy(store, {
    get: (target, name) => {
      if (Object.hasOwn(own, name)) return own[name as keyof typeof own]
      if (name === 'features') return limited(target.features, observation.maxValueBytes)
      const value = Reflect.get(target, name, target) as unknown
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    },
  })
}

function limited(features: StoreFeatures, maxValueBytes: number): StoreFeatures {
  return maxValueBytes === Infinity ? features : { ...features, maxValueBytes }
}

function observedStage(staged: StagedFold, observation: Observation): StagedFold {
  const { ledger, verdict, committed, swapped, swapping } = observation
  let content: FoldContent = new Map()
  let cursor = WatchCursor.none
  return {
    apply: async (updates: readonly KvUpdate[], at, options) => {
      await staged.apply(updates, at, options)
      content = applied(content, updates)
      cursor = at
    },
    has: (key) => staged.has(key),
    keys: () => staged.keys(),
    commit: async () => {
      const attempt = ledger.replacement(content, cursor)
      swapping()
      await staged.commit()
      attempt.acknowledge()
      verdict.count('rebuilds swapped in')
      swapped(cursor)
      committed()
    },
    discard: () => staged.discard(),
  }
}

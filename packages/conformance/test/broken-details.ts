import {
  SnapshotError,
  WatchCursor,
  type KvEntry,
  type SnapshotLocation,
  type SnapshotStore,
  type StoreFeatures,
} from '@slip/kv-core'
import { override } from './override.ts'
import { REFERENCE_FEATURES } from './reference-store.ts'

/** A store that is wrong in a detail, or whose suite says what is not so, and the one case that must see it. */
export interface BrokenDetail {
  readonly name: string
  readonly caughtBy: string
  /** What the suite says of the store. */
  readonly says?: Partial<StoreFeatures>
  readonly spoil?: (location: SnapshotLocation) => SnapshotLocation
}

type Parts = (store: SnapshotStore, opens: number) => Partial<SnapshotStore>

const decoder = new TextDecoder()
const encoder = new TextEncoder()

export const brokenDetails: readonly BrokenDetail[] = [
  store('has a lineage before it was given one', 'reads/empty', (of) => ({
    get lineage() {
      return of.lineage ?? new Uint8Array()
    },
  })),
  store('takes an empty value for none', 'reads/empty-value', (of) =>
    reading(of, (entry) => (entry.value.length === 0 ? undefined : entry)),
  ),
  store('keeps values as text', 'reads/binary', (of) =>
    reading(of, (entry) => ({ ...entry, value: encoder.encode(decoder.decode(entry.value)) })),
  ),
  store('cannot be written after a listing that was left', 'reads/early-stop', (of) => {
    let left = false
    const listed = function* (prefix?: string): Generator<KvEntry> {
      let done = false
      try {
        yield* of.entries(prefix)
        done = true
      } finally {
        left = !done
      }
    }
    return {
      entries: listed,
      apply: async (...update) => {
        if (left) throw new SnapshotError('Busy', 'a listing was left')
        await of.apply(...update)
      },
    }
  }),
  store('forgets its cursor at a reopen', 'cursor/revision', (of, opens) => ({
    get cursor() {
      return opens > 1 ? WatchCursor.none : of.cursor
    },
  })),
  store('takes revision 0 for none', 'cursor/zero', (of) =>
    cursorOf(of, (cursor) => (cursor.revision === 0n ? WatchCursor.none : cursor)),
  ),
  store('keeps no cursor without a revision', 'cursor/ten-bytes', (of) =>
    cursorOf(of, (cursor) => (cursor.revision === undefined ? WatchCursor.none : cursor)),
  ),
  store('keeps no cursor shorter than a revision', 'cursor/one-byte', (of) =>
    cursorOf(of, (cursor) => (cursor.toHex().length < 16 ? WatchCursor.none : cursor)),
  ),
  store('takes no cursor that goes back', 'cursor/going-back', (of) => ({
    apply: (batch, cursor, options) =>
      of.apply(batch, (cursor.revision ?? 0n) < (of.cursor.revision ?? 0n) ? of.cursor : cursor, options),
  })),
  store('lets a view be read after its close', 'views/closed', (of) => ({
    view: (options) => override(of.view!(options), { close: () => {}, [Symbol.dispose]: () => {} }),
  })),
  store('forgets the deadline of a view', 'views/deadline', (of) => ({ view: () => of.view!() })),
  store('keeps the old fold when the staged one is empty', 'staging/empty', (of) => ({
    stage: async () => {
      const staged = await of.stage!()
      let any = false
      return override(staged, {
        apply: async (batch, ...rest) => {
          any ||= batch.length > 0
          await staged.apply(batch, ...rest)
        },
        commit: async () => {
          if (any) await staged.commit()
        },
      })
    },
  })),
  store('names a file of its copy that is elsewhere', 'copy/names-its-files', (of) => ({
    copyTo: async (directory) => ({ ...(await of.copyTo!(directory)), files: ['../copy/fold'] }),
  })),
  store('leaves out a key that is too long', 'limits/key', (of) => ({
    apply: (batch, ...rest) =>
      of.apply(
        batch.filter(({ key }) => Buffer.byteLength(key) <= REFERENCE_FEATURES.maxKeyBytes),
        ...rest,
      ),
  })),
  store('stages what is over its limits', 'limits/staged', (of) => ({
    stage: async () => {
      const staged = await of.stage!()
      return override(staged, {
        apply: (batch, ...rest) =>
          staged.apply(
            batch.filter(({ key }) => Buffer.byteLength(key) <= REFERENCE_FEATURES.maxKeyBytes),
            ...rest,
          ),
      })
    },
  })),
  store('keeps one byte less than it says', 'limits/value-kept', (of) =>
    reading(of, (entry) => ({ ...entry, value: entry.value.slice(0, REFERENCE_FEATURES.maxValueBytes - 1) })),
  ),
  store('reports a recovery at each opening', 'recovery/nothing-to-report', () => ({
    recovery: { verdict: 'torn', at: 0, bytes: 0 },
  })),
  {
    name: 'is there before it was opened',
    caughtBy: 'location/exists',
    spoil: (location) => ({ ...location, exists: async () => true }),
  },
  { name: 'has other limits than its suite says', caughtBy: 'features/declared', says: { maxKeyBytes: 99 } },
  {
    name: 'keeps a lineage though its suite denies it',
    caughtBy: 'lineage/absent',
    says: { lineage: false },
  },
  {
    name: 'keeps deleted keys though its suite denies it',
    caughtBy: 'deleted-keys/absent',
    says: { deletedKeys: false },
  },
  { name: 'has views though its suite denies it', caughtBy: 'views/absent', says: { views: false } },
  { name: 'can stage though its suite denies it', caughtBy: 'staging/absent', says: { staging: false } },
  {
    name: 'is durable though its suite denies it',
    caughtBy: 'cursor/nothing-durable',
    says: { durable: false },
  },
]

function store(name: string, caughtBy: string, parts: Parts): BrokenDetail {
  return {
    name,
    caughtBy,
    spoil: (location) => {
      let opens = 0
      return {
        ...location,
        open: async () => {
          const opened = await location.open()
          return override(opened, parts(opened, ++opens))
        },
      }
    },
  }
}

/** Single reads that show each entry as `show` does. */
function reading(of: SnapshotStore, show: (entry: KvEntry) => KvEntry | undefined): Partial<SnapshotStore> {
  return {
    get: (key) => {
      const entry = of.get(key)
      return entry && show(entry)
    },
  }
}

function cursorOf(of: SnapshotStore, keep: (cursor: WatchCursor) => WatchCursor): Partial<SnapshotStore> {
  return { apply: (batch, cursor, options) => of.apply(batch, keep(cursor), options) }
}

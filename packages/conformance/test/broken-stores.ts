import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  VersionToken,
  WatchCursor,
  type FoldReader,
  type KvEntry,
  type KvUpdate,
  type SnapshotLocation,
  type SnapshotStore,
} from '@slip/kv-core'
import { override } from './override.ts'
import { REFERENCE_FEATURES } from './reference-store.ts'

/** A store that breaks one promise, and the case made to say so. */
export interface BrokenStore {
  readonly name: string
  readonly caughtBy: string
  /** The other cases that see it too; `many` where the defect spoils nearly everything. */
  readonly also: readonly string[] | 'many'
  readonly spoil: (location: SnapshotLocation, path: string) => SnapshotLocation
}

type Spoil = (store: SnapshotStore, opens: number) => SnapshotStore

export const brokenStores: readonly BrokenStore[] = [
  broken(
    'moves the cursor before the data',
    'cursor/never-ahead',
    ['apply/reads-see-commits-only'],
    (store) => {
      let early: WatchCursor | undefined
      return override(store, {
        get cursor() {
          return early ?? store.cursor
        },
        apply: async (batch, cursor, options) => {
          early = cursor
          try {
            await store.apply(batch, cursor, options)
          } finally {
            early = undefined
          }
        },
      })
    },
  ),
  broken('applies the good part of a batch that it refuses', 'apply/atomic', [], (store) =>
    override(store, {
      apply: async (batch, cursor, options) => {
        const good = batch.filter(({ key }) => Buffer.byteLength(key) <= REFERENCE_FEATURES.maxKeyBytes)
        if (good.length < batch.length && good.length > 0) await store.apply(good, store.cursor)
        await store.apply(batch, cursor, options)
      },
    }),
  ),
  broken('lists in the order of UTF-16', 'order/byte-order', 'many', (store) =>
    listing(store, (entries) => entries.sort((a, b) => (a.key < b.key ? -1 : 1))),
  ),
  broken('forgets deleted keys at a reopen', 'deleted-keys/kept', 'many', (store, opens) =>
    opens === 1
      ? store
      : override(store, { deletedKeys: () => [].values(), stats: { ...store.stats, deletedKeys: 0 } }),
  ),
  broken(
    'leaves out the upper bound',
    'reads/range-lte',
    ['reads/range-both', 'reads/range-reverse'],
    (store) =>
      override(store, {
        range: (prefix, options) => store.range(prefix, options).filter(({ key }) => key !== options?.lte),
        entries: (prefix = '', options) =>
          store
            .range(prefix, options)
            .filter(({ key }) => key !== options?.lte)
            .values(),
        keys: (prefix = '', options) =>
          store
            .range(prefix, options)
            .map(({ key }) => key)
            .filter((key) => key !== options?.lte)
            .values(),
      }),
  ),
  broken('takes the limit from the wrong end', 'reads/range-limit', [], (store) =>
    override(store, {
      range: (prefix, { limit, ...options } = {}) => {
        const all = store.range(prefix, options)
        return limit === undefined || options.reverse !== true ? all.slice(0, limit) : all.slice(-limit)
      },
    }),
  ),
  broken('takes a prefix for a token', 'reads/prefix', 'many', (store) =>
    override(store, {
      range: (prefix, options) =>
        store
          .range(prefix, options)
          .filter(
            ({ key }) =>
              prefix === '' || key === prefix || prefix.endsWith('.') || key.startsWith(`${prefix}.`),
          ),
    }),
  ),
  broken('loses the lineage at a reopen', 'lineage/kept', 'many', (store, opens) =>
    opens === 1 ? store : override(store, { lineage: undefined }),
  ),
  broken(
    'clears the lineage when an apply brings none',
    'lineage/absent-keeps',
    ['staging/goes-on', 'durability/reopen'],
    (store) =>
      override(store, {
        apply: (batch, cursor, options) =>
          store.apply(batch, cursor, { lineage: new Uint8Array(0), ...options }),
        get lineage() {
          return store.lineage?.length === 0 ? undefined : store.lineage
        },
      }),
  ),
  broken(
    'lets a view see later commits',
    'views/pinned',
    ['views/several', 'staging/views-keep-the-old'],
    (store) =>
      override(store, {
        view: (options) => {
          const view = store.view!(options)
          const checked = <R>(read: () => R): R => {
            view.has('')
            return read()
          }
          return override(view, {
            range: (...args) => checked(() => store.range(...args)),
            get: (...args) => checked(() => store.get(...args)),
          })
        },
      }),
  ),
  broken('answers getMany without the missing keys', 'reads/get-many', [], (store) =>
    override(store, { getMany: (keys) => store.getMany(keys).filter((entry) => entry !== undefined) }),
  ),
  broken(
    'ignores an empty batch',
    'apply/empty-batch-commits-cursor',
    ['cursor/none', 'cursor/durable-after-sync'],
    (store) =>
      override(store, {
        apply: async (batch, cursor, options) => {
          if (batch.length > 0 || options?.lineage !== undefined) await store.apply(batch, cursor, options)
        },
      }),
  ),
  broken('gives out its own bytes', 'reads/own-bytes', [], (store) => {
    const held = new Map<string, KvEntry>()
    const hold = <E extends KvEntry | undefined>(entry: E): E => {
      if (entry === undefined) return entry
      const same = held.get(entry.key)
      if (same?.version.equals(entry.version) === true) return same as E
      held.set(entry.key, entry)
      return entry
    }
    return override(store, {
      get: (key) => hold(store.get(key)),
      getMany: (keys) => store.getMany(keys).map(hold),
    })
  }),
  broken('keeps the bytes of its caller', 'reads/taken-bytes', [], (store) => {
    const kept = new Map<string, Uint8Array>()
    return override(store, {
      apply: async (batch, cursor, options) => {
        await store.apply(batch, cursor, options)
        for (const update of batch) if (update.operation === 'put') kept.set(update.key, update.value)
      },
      get: (key) => {
        const entry = store.get(key)
        return entry && kept.has(key) ? { ...entry, value: kept.get(key)!.slice() } : entry
      },
    })
  }),
  broken('shows what is staged', 'staging/invisible', ['limits/staged'], (store) => {
    let peek: FoldReader | undefined
    return override(store, {
      range: (prefix, options) => (peek ?? store).range(prefix, options),
      stage: async () => {
        const staged = await store.stage!()
        return override(staged, {
          apply: async (batch, cursor, options) => {
            await staged.apply(batch, cursor, options)
            peek = override<FoldReader>(store, {
              range: (prefix) =>
                batch
                  .filter((update) => update.operation === 'put')
                  .filter(({ key }) => key.startsWith(prefix)),
            })
          },
          commit: async () => {
            await staged.commit()
            peek = undefined
          },
          discard: async () => {
            await staged.discard()
            peek = undefined
          },
        })
      },
    })
  }),
  broken('counts the old fold in has of a staged one', 'staging/has', [], (store) =>
    override(store, {
      stage: async () => {
        const staged = await store.stage!()
        return override(staged, { has: (key) => staged.has(key) || store.has(key) })
      },
    }),
  ),
  broken('gives the keys of the old fold with those of a staged one', 'staging/keys', [], (store) =>
    override(store, {
      stage: async () => {
        const staged = await store.stage!()
        return override(staged, {
          keys: () => new Set([...staged.keys(), ...store.keys()])[Symbol.iterator](),
        })
      },
    }),
  ),
  broken('loses the last apply at close', 'durability/close-covers-the-last', [], (store) => {
    let last: (() => Promise<void>) | undefined
    let shown: SnapshotStore = store
    const settle = async (): Promise<void> => {
      await last?.()
      last = undefined
      shown = store
    }
    return override(store, {
      // Only an apply that comes right after a sync is held back, so that one case is enough to see it.
      sync: async () => {
        await settle()
        const synced = await store.sync()
        last = async () => {}
        return synced
      },
      apply: async (batch, cursor, options) => {
        if (last === undefined || batch.length !== 1 || batch[0]!.key !== 'last') {
          await settle()
          await store.apply(batch, cursor, options)
        } else last = () => shown.apply(batch, cursor, options)
      },
    })
  }),
  broken('lets itself be opened twice', 'lock/second-open', [], undefined, (location, path) => ({
    ...location,
    open: async () => {
      await rm(`${path}.lock`, { force: true })
      return location.open()
    },
  })),
  broken('ignores purges', 'apply/purge', 'many', (store) =>
    override(store, {
      apply: (batch, cursor, options) =>
        store.apply(
          batch.filter(({ operation }) => operation !== 'purge'),
          cursor,
          options,
        ),
    }),
  ),
  broken('cuts a value at its limit', 'limits/value', [], (store) =>
    override(store, {
      apply: (batch, cursor, options) =>
        store.apply(
          batch.map((update): KvUpdate =>
            update.operation === 'put'
              ? { ...update, value: update.value.subarray(0, REFERENCE_FEATURES.maxValueBytes) }
              : update,
          ),
          cursor,
          options,
        ),
    }),
  ),
  broken('keeps the first update of a key in a batch', 'apply/last-wins-in-a-batch', 'many', (store) =>
    override(store, {
      apply: (batch, cursor, options) => {
        const first = new Map<string, KvUpdate>()
        for (const update of batch) if (!first.has(update.key)) first.set(update.key, update)
        return store.apply([...first.values()], cursor, options)
      },
    }),
  ),
  broken('keeps versions as numbers', 'apply/versions-of-any-length', [], (store) =>
    override(store, {
      get: (key) => {
        const entry = store.get(key)
        const revision = entry?.version.revision
        return entry && { ...entry, version: revision === undefined ? VersionToken.unknown : entry.version }
      },
    }),
  ),
  broken(
    'forgets the memo of a cursor',
    'cursor/memo',
    ['cursor/memo-with-time', 'cursor/none-with-memo'],
    (store) =>
      override(store, {
        apply: (batch, { token }, options) => store.apply(batch, WatchCursor.fromToken(token), options),
      }),
  ),
  broken('never says what is durable', 'cursor/durable-after-sync', ['staging/durable'], (store) =>
    override(store, { durableCursor: WatchCursor.none }),
  ),
  broken('answers reads after close', 'close/reads-throw', ['close/idempotent'], (store) => {
    let last: readonly KvEntry[] = []
    let closed = false
    return override(store, {
      range: (prefix, options) => (closed ? [...last] : store.range(prefix, options)),
      close: async () => {
        if (!closed) last = store.range('')
        closed = true
        await store.close()
      },
    })
  }),
  broken('does not report what it cut', 'recovery/torn-tail-reported', [], (store) =>
    override(store, { recovery: undefined }),
  ),
  broken(
    'throws away a file it cannot read',
    'recovery/foreign-file',
    ['recovery/flipped-bit-exact'],
    undefined,
    (location, path) => ({
      ...location,
      open: async () => {
        try {
          return await location.open()
        } catch (error) {
          if ((error as { code?: string }).code !== 'InvalidFormat') throw error
          await rm(path)
          throw error
        }
      },
    }),
  ),
  broken('deletes what it should set aside', 'location/set-aside', [], undefined, (location) => ({
    ...location,
    setAside: async () => {
      const kept = await location.setAside!()
      await rm(kept)
      return kept
    },
  })),
  broken('has no other place than its own', 'location/beside', [], undefined, (location) => ({
    ...location,
    beside: () => ({ ...location, remove: async () => undefined }),
  })),
  broken('adopts over an existing fold', 'copy/adopt-over-a-fold', [], undefined, (location, path) => ({
    ...location,
    adopt: (directory) => copyFile(join(directory, 'fold'), path),
  })),
]

function broken(
  name: string,
  caughtBy: string,
  also: BrokenStore['also'],
  spoilStore: Spoil | undefined,
  spoilLocation?: BrokenStore['spoil'],
): BrokenStore {
  return {
    name,
    caughtBy,
    also,
    spoil:
      spoilLocation ??
      ((location) => {
        let opens = 0
        return { ...location, open: async () => spoilStore!(await location.open(), ++opens) }
      }),
  }
}

/** Every listing of `store`, rearranged. */
function listing(store: SnapshotStore, rearrange: (entries: KvEntry[]) => KvEntry[]): SnapshotStore {
  const range: SnapshotStore['range'] = (prefix, options) => rearrange(store.range(prefix, options))
  return override(store, {
    range,
    entries: (prefix = '', options) => range(prefix, options).values(),
    keys: (prefix = '', options) =>
      range(prefix, options)
        .map(({ key }) => key)
        .values(),
  })
}

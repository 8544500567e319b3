import {
  encodeLineage,
  VersionToken,
  type Binding,
  type KvUpdate,
  type SnapshotLocation,
  type SnapshotStore,
} from '@slip/kv-core'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'
import { at, del, put } from './scratch.ts'

/** Every kind of place a fold of ours can be in. */
export const PLACES: readonly (readonly [string, (path: string) => SnapshotLocation])[] = [
  ['a log', (path) => appendLog({ path })],
  ['a log of generation 2', (path) => appendLog({ path, format: 2 })],
  ['LMDB', (path) => lmdb({ path })],
]

export const BINDING: Binding = {
  kind: 'nats',
  name: 'routes',
  incarnation: '2026-01-02T03:04:05.678Z',
  scope: ['edge.', 'route.'],
  whenEvicted: 'drop',
  evictionSeen: false,
}

export const LINEAGE: Uint8Array = encodeLineage({
  binding: BINDING,
  anchors: [{ revision: 9n, key: 'route.z', timeMs: 1_700_000_000_000n }],
})

/** Keys in every shape a store takes, one of them deleted and one that expires. */
export const UPDATES: readonly KvUpdate[] = [
  put('route.a', 'one', 1),
  put('route.z', 'two', 2),
  put('route.gone', 'three', 3),
  put(
    'edge.ключ-🔑',
    Uint8Array.from({ length: 300 }, (_, i) => i),
    4,
  ),
  put(`route.${'long'.repeat(200)}`, 'a long key', 5),
  put('route.empty', '', 6),
  put('route.large', new Uint8Array(400_000).fill(7), 7),
  {
    operation: 'put',
    key: 'route.stamp',
    value: Uint8Array.of(1),
    version: VersionToken.fromHex('00112233445566778899'),
    expiresAtMs: 1_900_000_000_123,
  },
  del('route.gone', 8),
  put('route.z', 'three', 9),
]

export async function filled(location: SnapshotLocation): Promise<SnapshotStore> {
  const store = await location.open()
  await store.apply(UPDATES, at(9), store.features.lineage ? { lineage: LINEAGE } : {})
  return store
}

/** A fold as plain data, with all that `fold` keeps. */
export function whole(store: SnapshotStore): object {
  return {
    cursor: store.cursor.toHex(),
    lineage: store.lineage === undefined ? undefined : Buffer.from(store.lineage).toString('hex'),
    entries: [...store.entries()].map(({ key, value, version, expiresAtMs }) => ({
      key,
      value: Buffer.from(value).toString('base64'),
      version: version.toHex(),
      expiresAtMs,
    })),
    deleted: [...(store.deletedKeys?.() ?? [])].map(({ key, version }) => `${key} ${version.toHex()}`),
  }
}

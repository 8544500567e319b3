import { VersionToken, WatchCursor, type KvUpdate } from '@slip/kv-core'
import type { SeededRandom } from './seeded-random.ts'

const encoder = new TextEncoder()

export function put(key: string, value: string | Uint8Array, revision: number): KvUpdate {
  const bytes = typeof value === 'string' ? encoder.encode(value) : value
  return { operation: 'put', key, value: bytes, version: VersionToken.fromRevision(BigInt(revision)) }
}

export function del(key: string, revision: number): KvUpdate {
  return { operation: 'delete', key, version: VersionToken.fromRevision(BigInt(revision)) }
}

export function purge(key: string, revision: number): KvUpdate {
  return { operation: 'purge', key, version: VersionToken.fromRevision(BigInt(revision)) }
}

export function at(revision: number): WatchCursor {
  return WatchCursor.fromRevision(BigInt(revision))
}

/** Overwrites, a delete of a live key, a second prefix: seven updates, the last at revision 7. */
export const FIXTURE: readonly KvUpdate[] = [
  put('node.a', 'v1', 1),
  put('node.b', 'v2', 2),
  put('svc.x', 'v3', 3),
  put('node.c', 'v4', 4),
  del('node.b', 5),
  put('svc.y', 'v6', 6),
  put('node.a', 'v1b', 7),
]

const KEYS: readonly string[] = [
  ...Array.from({ length: 24 }, (_, i) => `node.${i}`),
  ...Array.from({ length: 8 }, (_, i) => `svc.${i}.${'deep'.repeat(i)}`),
  'node',
  'node.',
  'nodf',
  'n',
  'é',
  'z',
  '\u{e000}',
  '\u{ffff}',
  '\u{10000}',
  '\u{1f600}.smile',
  '\u{10ffff}',
]

/** Updates at revisions `first`, `first + 1`, …: mostly puts over a small set of keys, of every plane. */
export function randomUpdates(random: SeededRandom, first: number, count: number): KvUpdate[] {
  return Array.from({ length: count }, (_, i) => {
    const key = random.pick(KEYS)
    const kind = random.next()
    if (kind < 0.18) return del(key, first + i)
    if (kind < 0.25) return purge(key, first + i)
    return put(key, random.bytes(random.chance(0.05) ? 4_000 : random.below(60)), first + i)
  })
}

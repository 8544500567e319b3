import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VersionToken, WatchCursor, type FoldReader, type KvUpdate } from '@slip/kv-core'
import { afterEach } from 'vitest'

const made: string[] = []

/** A directory of its own, removed after the test. */
export async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'slip-export-'))
  made.push(directory)
  return directory
}

afterEach(async () => {
  for (const directory of made.splice(0)) await rm(directory, { recursive: true, force: true })
})

export function at(revision: number): WatchCursor {
  return WatchCursor.fromRevision(BigInt(revision))
}

export function put(key: string, value: string | Uint8Array, revision: number): KvUpdate {
  return {
    operation: 'put',
    key,
    value: typeof value === 'string' ? new TextEncoder().encode(value) : value,
    version: VersionToken.fromRevision(BigInt(revision)),
  }
}

export function del(key: string, revision: number): KvUpdate {
  return { operation: 'delete', key, version: VersionToken.fromRevision(BigInt(revision)) }
}

export interface PlainEntry {
  readonly key: string
  readonly value: string
  readonly version: string
}

/** Every entry in key-byte order, values in base64. */
export function plain(fold: Pick<FoldReader, 'entries'>): PlainEntry[] {
  return [...fold.entries()].map(({ key, value, version }) => ({
    key,
    value: Buffer.from(value).toString('base64'),
    version: version.toHex(),
  }))
}

/** A small repeatable random source; the seed comes from SLIP_SEED or the clock and is printed. */
export function seededRandom(what: string): (below: number) => number {
  const seed = Number(process.env['SLIP_SEED'] ?? Date.now() % 1_000_000)
  console.log(`${what}: SLIP_SEED=${seed}`)
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

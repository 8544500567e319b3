import { bytesToHex, type FoldReader, type KvUpdate } from '@slip/kv-core'
import { del, put } from './updates.ts'

const KEYS = Array.from({ length: 40 }, (_, i) => `k${i}`)
const EVEN = 'only.even'
const TRAIL = 16

/**
 * Commit `revision` of what readers of other processes read, on top of the one before: any mixture of two
 * commits shows, and a lost one is missed for as long as 16 more.
 */
export function readerCommit(revision: number): KvUpdate[] {
  const even = revision % 2 === 0 ? put(EVEN, `${revision}`, revision) : del(EVEN, revision)
  return [...[...KEYS, trailKey(revision)].map((key) => put(key, `${revision}`, revision)), even]
}

/** All that the fold holds after that commit, for a fold that takes the place of another. */
export function readerFold(revision: number): KvUpdate[] {
  return [...writtenAt(revision)].map(([key, at]) => put(key, `${at}`, at))
}

/** What is wrong with what this reader shows now, if anything: it shows the commit of its cursor, and nothing else. */
export function wrongIn(reader: FoldReader): string | undefined {
  const revision = Number(reader.cursor.revision ?? 0n)
  const written = writtenAt(revision)
  const entries = reader.range('')
  const keys = entries.map(({ key }) => key)
  if (keys.join() !== [...written.keys()].toSorted().join())
    return `at cursor ${revision}: the keys ${keys.join(' ')}`
  const got = [...reader.getMany(KEYS), reader.get(KEYS[3]!)].filter((entry) => entry !== undefined)
  for (const { key, value } of [...entries, ...got])
    if (bytesToHex(value) !== bytesToHex(encoder.encode(`${written.get(key)}`)))
      return `at cursor ${revision}: ${key} is of another commit`
  const later = Number(reader.cursor.revision ?? 0n)
  return later === revision ? undefined : `the cursor went from ${revision} to ${later} without a refresh`
}

const encoder = new TextEncoder()

/** The keys after commit `revision`, each with the commit that wrote it, which is its value. */
function writtenAt(revision: number): Map<string, number> {
  const written = new Map<string, number>()
  if (revision === 0) return written
  for (const key of KEYS) written.set(key, revision)
  if (revision % 2 === 0) written.set(EVEN, revision)
  for (let at = Math.max(1, revision - TRAIL + 1); at <= revision; at++) written.set(trailKey(at), at)
  return written
}

function trailKey(revision: number): string {
  return `trail.${revision % TRAIL}`
}

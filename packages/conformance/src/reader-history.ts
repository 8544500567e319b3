import { bytesToHex, type FoldReader, type KvUpdate } from '@slip/kv-core'
import { del, put } from './updates.ts'

const KEYS = Array.from({ length: 40 }, (_, i) => `k${i}`)
const EVEN = 'only.even'

/** Commit `revision` of what readers of other processes read: any mixture of two commits shows. */
export function readerCommit(revision: number): KvUpdate[] {
  const even = revision % 2 === 0 ? put(EVEN, `${revision}`, revision) : del(EVEN, revision)
  return [...KEYS.map((key) => put(key, `${revision}`, revision)), even]
}

/** What is wrong with what this reader shows now, if anything: it shows the commit of its cursor, and nothing else. */
export function wrongIn(reader: FoldReader): string | undefined {
  const revision = Number(reader.cursor.revision ?? 0n)
  const wanted = revision === 0 ? [] : [...KEYS, ...(revision % 2 === 0 ? [EVEN] : [])].toSorted()
  const entries = reader.range('')
  const keys = entries.map(({ key }) => key)
  if (keys.join() !== wanted.join()) return `at cursor ${revision}: the keys ${keys.join(' ')}`
  const value = bytesToHex(new TextEncoder().encode(`${revision}`))
  const got = [...reader.getMany(KEYS), reader.get(KEYS[3]!)].filter((entry) => entry !== undefined)
  for (const entry of [...entries, ...got])
    if (bytesToHex(entry.value) !== value) return `at cursor ${revision}: ${entry.key} is of another commit`
  const later = Number(reader.cursor.revision ?? 0n)
  return later === revision ? undefined : `the cursor went from ${revision} to ${later} without a refresh`
}

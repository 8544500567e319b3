import { scopeCovers, type FoldReader, type KvEntry, type KvReader, type WatchCursor } from '@slip/kv-core'

export type DifferenceKind = 'missing' | 'extra' | 'different' | 'skipped'

export interface Difference {
  readonly key: string
  readonly kind: DifferenceKind
}

export interface Comparison {
  readonly compared: number
  readonly missing: number
  readonly extra: number
  readonly different: number
  readonly skipped: number
  readonly at: WatchCursor
}

const READS_IN_FLIGHT = 64
const MARK_BITS = 27

/**
 * Compares a fold with its bucket in bounded memory, telling each difference to `report`.
 *
 * The bucket is streamed once and looked up in the fold. Whether the fold has extra keys is then known by
 * counting. Which ones: those whose mark (one of 2^27 bits, set for each listed key) is unset are surely
 * extra; the few that share a mark with a listed key are asked for one by one.
 */
export async function compareFold(
  fold: FoldReader,
  bucket: KvReader,
  prefixes: readonly string[],
  report: (difference: Difference) => Promise<void>,
  onProgress: (compared: number) => void,
): Promise<Comparison> {
  const counts = { compared: 0, missing: 0, extra: 0, different: 0, skipped: 0 }
  const marks = new Uint8Array(1 << (MARK_BITS - 3))
  let present = 0
  let at: WatchCursor | undefined
  for (const prefix of prefixes) {
    const listing = bucket.scan(prefix)
    for await (const entry of listing) {
      counts.compared++
      onProgress(counts.compared)
      const mark = markOf(entry.key)
      marks[mark >>> 3]! |= 1 << (mark & 7)
      const ours = fold.get(entry.key)
      if (ours === undefined) {
        counts.missing++
        await report({ key: entry.key, kind: 'missing' })
        continue
      }
      present++
      if (same(ours, entry)) continue
      counts.different++
      await report({ key: entry.key, kind: 'different' })
    }
    at = await listing.validAt
  }
  let extra = 0
  for (const prefix of prefixes) for (const _ of fold.keys(prefix)) extra++
  extra -= present
  if (extra > 0) counts.extra = await findExtra(fold, bucket, prefixes, marks, extra, report)
  if (at === undefined) throw new TypeError('nothing to compare: no prefixes')
  return { ...counts, at }
}

async function findExtra(
  fold: FoldReader,
  bucket: KvReader,
  prefixes: readonly string[],
  marks: Uint8Array,
  expected: number,
  report: (difference: Difference) => Promise<void>,
): Promise<number> {
  const marked = (key: string): boolean => (marks[markOf(key) >>> 3]! & (1 << (markOf(key) & 7))) !== 0
  let found = 0
  for (const prefix of prefixes) {
    for (const key of fold.keys(prefix)) {
      if (marked(key)) continue
      found++
      await report({ key, kind: 'extra' })
    }
  }
  for (const prefix of prefixes) {
    let asked: string[] = []
    const ask = async (): Promise<void> => {
      const answers = await Promise.all(
        asked.map(async (key) => ((await bucket.get(key)) === undefined ? key : undefined)),
      )
      asked = []
      for (const key of answers) {
        if (key === undefined || found >= expected) continue
        found++
        await report({ key, kind: 'extra' })
      }
    }
    for (const key of fold.keys(prefix)) {
      if (found >= expected) return found
      if (marked(key) && asked.push(key) === READS_IN_FLIGHT) await ask()
    }
    if (asked.length > 0) await ask()
  }
  return found
}

function same(a: KvEntry, b: KvEntry): boolean {
  return a.version.equals(b.version) && Buffer.compare(a.value, b.value) === 0
}

// FNV-1a over UTF-16 units, folded to the mark's width: only its spread matters.
function markOf(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> (32 - MARK_BITS)
}

/** The prefixes both in the fold's scope and under `wanted`. */
export function narrowed(scope: readonly string[], wanted: string | undefined): readonly string[] {
  if (wanted === undefined) return scope
  if (scopeCovers(scope, wanted)) return [wanted]
  return scope.filter((prefix) => prefix.startsWith(wanted))
}

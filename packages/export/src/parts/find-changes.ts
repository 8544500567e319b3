import { HashTable } from './hash-table.ts'
import { readHashes } from './hash-list.ts'
import { takeIndexHead } from './hash-index.ts'
import { takeLayerHead } from './layer-head.ts'
import { withFileWindow } from '../file-window.ts'

/** So many hashes are held at a time: 38 MB. */
const MOST_HELD = 3_000_000
/** A chain with more changes than this is not laid upon: who applies its layers holds as many hashes. */
export const MOST_CHANGES = 3_000_000

/** Files with what is known of a payload that was published: the index of its base, the heads of its layers. */
export interface KnownPayload {
  /** Digest of the base. */
  readonly base: string
  readonly index: { readonly path: string; readonly size: number }
  readonly layers: readonly { readonly path: string; readonly size: number }[]
}

/** What makes one payload of another. */
export interface Changes {
  /** Which records of the new one come, by their place. */
  readonly added: Uint32Array
  /** Hashes of the records that go, in order. */
  readonly removed: BigUint64Array
}

const GONE = 1
const THERE = 2
const KEPT = 3

/**
 * Compares a payload, whose records' hashes are `own` in their order, with one that is known by hashes only. undefined when
 * they differ in more than `MOST_CHANGES`, or when two records cannot be told apart: then nothing
 * may be laid upon it. Memory does not grow with the payloads: they are gone through several times instead.
 */
export async function findChanges(
  own: { readonly path: string; readonly count: number },
  known: KnownPayload,
  {
    signal,
    mostHeld = MOST_HELD,
  }: { readonly signal?: AbortSignal | undefined; readonly mostHeld?: number } = {},
): Promise<Changes | undefined> {
  const counts = await countsOf(known)
  if (counts.layered > MOST_CHANGES) return undefined
  const passes = Math.ceil((counts.base + counts.layered) / mostHeld) || 1
  const added: number[] = []
  const removed: BigUint64Array[] = []
  let gone = 0
  for (let pass = 0; pass < passes; pass++) {
    const isHere = (high: number): boolean => Math.floor((high * passes) / 2 ** 32) === pass
    const most = ((counts.base + counts.layered) / passes) * 1.1 + 1000
    const held = await hold(known, new HashTable(most), isHere, signal)
    if (held === undefined) return undefined
    let isClear = true
    let place = 0
    await withFileWindow(own.path, async (window) =>
      readHashes(
        window,
        own.count,
        (high, low) => {
          if (isHere(high)) {
            const mark = held.markOf(high, low)
            if (mark === THERE) held.mark(high, low, KEPT)
            else if (mark === KEPT) isClear = false
            else if (added.length <= MOST_CHANGES) added.push(place)
          }
          place++
        },
        signal,
      ),
    )
    const left = held.count(THERE)
    gone += left
    if (!isClear || added.length + gone + counts.layered > MOST_CHANGES) return undefined
    const hashes = new BigUint64Array(left)
    let at = 0
    for (const [high, low] of held.marked(THERE)) hashes[at++] = (BigInt(high) << 32n) | BigInt(low)
    removed.push(hashes)
  }
  return { added: Uint32Array.from(added).sort(), removed: joined(removed, gone).sort() }
}

function joined(lists: readonly BigUint64Array[], length: number): BigUint64Array {
  const all = new BigUint64Array(length)
  let at = 0
  for (const list of lists) {
    all.set(list, at)
    at += list.length
  }
  return all
}

async function countsOf(known: KnownPayload): Promise<{ readonly base: number; readonly layered: number }> {
  const { index } = known
  const base = await withFileWindow(index.path, async (window) =>
    takeIndexHead(window, known.base, index.size),
  )
  let layered = 0
  for (const { path, size } of known.layers) {
    const head = await withFileWindow(path, async (window) => takeLayerHead(window, size))
    layered += head.removed + head.added
  }
  return { base, layered }
}

/** The hashes of the known payload that belong to this pass; undefined when its layers do not fit each other. */
async function hold(
  known: KnownPayload,
  held: HashTable,
  isHere: (high: number) => boolean,
  signal: AbortSignal | undefined,
): Promise<HashTable | undefined> {
  let fits = true
  /** Another one has to be there before. */
  const set =
    (before: number, mark: number) =>
    (high: number, low: number): void => {
      if (!isHere(high)) return
      if (before === THERE ? held.markOf(high, low) !== THERE : held.markOf(high, low) === THERE) fits = false
      held.mark(high, low, mark)
    }
  await withFileWindow(known.index.path, async (window) => {
    const count = await takeIndexHead(window, known.base, known.index.size)
    await readHashes(window, count, set(GONE, THERE), signal)
  })
  for (const { path, size } of known.layers)
    await withFileWindow(path, async (window) => {
      const head = await takeLayerHead(window, size)
      await readHashes(window, head.removed, set(THERE, GONE), signal)
      await readHashes(window, head.added, set(GONE, THERE), signal)
    })
  return fits ? held : undefined
}

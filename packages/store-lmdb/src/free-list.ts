import { readU64 } from './lmdb-page.ts'

const SLOT_BYTES = 8

/** Pages that follow each other. */
export interface PageRun {
  readonly first: number
  readonly count: number
}

/**
 * The pages that one record of the free tree names; undefined when it cannot be such a list. It is how many slots
 * follow, then slots of an i64: 0 for none, a page, or minus how many pages begin at the page in the next slot.
 */
export function pagesOfFreeList(list: Buffer): PageRun[] | undefined {
  if (list.length < SLOT_BYTES) return undefined
  const slots = readU64(list, 0)
  if ((slots + 1) * SLOT_BYTES > list.length) return undefined
  const runs: PageRun[] = []
  for (let slot = 1; slot <= slots; slot++) {
    let count = 1
    const at = slot * SLOT_BYTES
    if (list.readInt32LE(at + 4) < 0) {
      count = -Number(list.readBigInt64LE(at))
      // The last slot may be the length of a run that is named by the record before.
      if (++slot > slots) break
    }
    const first = readU64(list, slot * SLOT_BYTES)
    if (first > 0) runs.push({ first, count })
  }
  return runs
}

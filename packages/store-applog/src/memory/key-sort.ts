import { DIGIT_BYTES, type RecordTable } from './record-table.ts'

/** What tells entries of a digit apart: a digit of five key bytes and a place make one exact number. */
const PLACES = 2 ** 11
/** So few are put in order by comparing whole keys. */
const FEW = 6

const digits = new Float64Array(PLACES)
const sorted = new Uint32Array(PLACES)

/**
 * Puts entry numbers `ids[from, to)`, at most 2,048, in the order of their keys: by five bytes at a
 * time behind what all of them share, so that each key is read a few times and not once a comparison.
 * All keys have the same first `shared` bytes.
 */
export function sortByKey(
  records: RecordTable,
  ids: Uint32Array,
  from: number,
  to: number,
  shared: number,
): void {
  if (to - from <= FEW) {
    insertionSort(records, ids, from, to)
    return
  }
  const depth = sharedBytes(records, ids, from, to, shared)
  const count = to - from
  const view = digits.subarray(0, count)
  for (let i = 0; i < count; i++) view[i] = records.keyDigit(ids[from + i]!, depth) * PLACES + i
  view.sort()
  for (let i = 0; i < count; i++) sorted[i] = ids[from + (view[i]! % PLACES)]!
  ids.set(sorted.subarray(0, count), from)
  const ends: number[] = []
  for (let i = 1; i < count; i++)
    if (Math.floor(view[i]! / PLACES) !== Math.floor(view[i - 1]! / PLACES)) ends.push(from + i)
  ends.push(to)
  let start = from
  for (const end of ends) {
    if (end - start > 1) sortByKey(records, ids, start, end, depth + DIGIT_BYTES)
    start = end
  }
}

/** How many first bytes all keys have in common, which is at least `least`. */
function sharedBytes(
  records: RecordTable,
  ids: Uint32Array,
  from: number,
  to: number,
  least: number,
): number {
  const first = records.keyBytes(ids[from]!)
  let shared = first.length
  for (let i = from + 1; i < to && shared > least; i++)
    shared = records.sharedWith(ids[i]!, first, least, shared)
  return shared
}

function insertionSort(records: RecordTable, ids: Uint32Array, from: number, to: number): void {
  for (let i = from + 1; i < to; i++) {
    const id = ids[i]!
    let at = i
    for (; at > from && records.compareEntries(ids[at - 1]!, id) > 0; at--) ids[at] = ids[at - 1]!
    ids[at] = id
  }
}

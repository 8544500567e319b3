import { NODE_HEADER_BYTES, PAGE_FLAG, PAGE_HEADER_BYTES, readU64 } from './lmdb-page.ts'

/** Of a leaf whose records have no keys, which a fold has none of. */
const KEYLESS_LEAF = 0x20
const NUMBER_BYTES = 8

/** What a walk found, and on which page. */
export class Damage extends Error {
  readonly page: number
  readonly what: string

  constructor(page: number, what: string) {
    super(what)
    this.page = page
    this.what = what
  }
}

/** Where one node of a page is; its data follows the key. */
export interface Node {
  readonly at: number
  readonly keyAt: number
  readonly keyEnd: number
}

/** What the keys below a branch are between: not below `from`, and below `to`. */
export interface Bounds {
  readonly from?: Buffer | undefined
  readonly to?: Buffer | undefined
}

/** The nodes of a page of a tree, at least one, all inside it. Throws Damage. */
export function readNodes(page: Buffer, number: number, leaf: boolean): Node[] {
  const stated = readU64(page, 0)
  if (stated !== number) throw new Damage(number, `it says that it is page ${stated}`)
  const kinds = PAGE_FLAG.branch | PAGE_FLAG.leaf | PAGE_FLAG.overflow | KEYLESS_LEAF
  if ((page.readUInt16LE(18) & kinds) !== (leaf ? PAGE_FLAG.leaf : PAGE_FLAG.branch))
    throw new Damage(number, 'it is of another kind')
  const lower = page.readUInt16LE(20)
  const upper = page.readUInt16LE(22)
  if ((lower & 1) === 1 || lower > upper || upper > page.length - PAGE_HEADER_BYTES)
    throw new Damage(number, 'its bounds are impossible')
  if (lower === 0) throw new Damage(number, 'it is empty')
  return Array.from({ length: lower >> 1 }, (_, i) => {
    const at = PAGE_HEADER_BYTES + page.readUInt16LE(PAGE_HEADER_BYTES + 2 * i)
    const keyAt = at + NODE_HEADER_BYTES
    if (at < PAGE_HEADER_BYTES + upper || keyAt > page.length)
      throw new Damage(number, 'a node outside its page')
    const keyEnd = keyAt + page.readUInt16LE(at + 6)
    if (keyEnd > page.length) throw new Damage(number, 'a key outside its page')
    return { at, keyAt, keyEnd }
  })
}

/** The key of a node; of a branch, the lowest key that may be below it. */
export function keyOf(page: Buffer, { keyAt, keyEnd }: Node): Buffer {
  return page.subarray(keyAt, keyEnd)
}

/**
 * Throws Damage unless the keys of a page ascend inside its bounds. A reader finds a key by the keys of the
 * branches: one that leads elsewhere hides what is there from `get`, and not from a scan.
 */
export function mustBeOrdered(
  page: Buffer,
  number: number,
  nodes: readonly Node[],
  { keys, leaf, from, to }: Bounds & { readonly keys: 'bytes' | 'numbers'; readonly leaf: boolean },
): void {
  const order = keys === 'numbers' ? compareNumbers : compareBytes
  let before = from
  for (const [i, node] of nodes.entries()) {
    // Nobody looks at the first key of a branch.
    if (!leaf && i === 0) continue
    const key = keyOf(page, node)
    if (keys === 'numbers' && key.length !== NUMBER_BYTES) throw new Damage(number, 'a key that is no number')
    const step = before === undefined ? -1 : order(before, key)
    const first = leaf && i === 0
    if (step > 0 || (step === 0 && !first)) throw new Damage(number, 'keys out of order')
    before = key
  }
  if (before !== undefined && to !== undefined && order(before, to) >= 0)
    throw new Damage(number, 'keys that its branch does not lead to')
}

function compareNumbers(a: Buffer, b: Buffer): number {
  return readU64(a, 0) - readU64(b, 0)
}

function compareBytes(a: Buffer, b: Buffer): number {
  return a.compare(b)
}

import { readSync } from 'node:fs'
import { SnapshotError } from '@slip/kv-core'
import type { KeyText } from './key-text.ts'
import {
  childOf,
  NODE_FLAG,
  NODE_HEADER_BYTES,
  PAGE_FLAG,
  PAGE_HEADER_BYTES,
  readU64,
  type TreeFacts,
} from './lmdb-page.ts'

/** Of the number of the first page of a value that has pages of its own. */
const POINTER_BYTES = 8
/** What the windows of all streams that are read at once may take, as long as that leaves each the fewest pages. */
const ALL_WINDOWS_BYTES = 8 * 1024 * 1024
const MOST_WINDOW_PAGES = 16
const FEWEST_WINDOW_PAGES = 6

/** How many pages that lie side by side each of so many streams should read at once. */
export function windowPagesOf(streams: number, pageBytes: number): number {
  const share = Math.floor(ALL_WINDOWS_BYTES / streams / pageBytes)
  return Math.min(Math.max(share, FEWEST_WINDOW_PAGES), MOST_WINDOW_PAGES)
}

/** An open file of LMDB, and how large its pages are. */
export interface PagedFile {
  readonly path: string
  readonly descriptor: number
  readonly pageBytes: number
}

/**
 * The records of one tree in key order, by plain reads: a run was written in order, so that its pages lie
 * side by side, and are read many at a time where the mapped file would be read page by page. The pages
 * must be kept from being used again meanwhile, by a read transaction that is not newer than the tree.
 */
export class LeafStream {
  text: KeyText = ''
  /** Valid until the next `advance`. */
  value: Uint8Array = new Uint8Array(0)
  /** How many records were passed. */
  records = 0
  readonly #file: PagedFile
  readonly #leaves: readonly number[]
  readonly #window: Buffer
  /** The leaves `#window` holds. */
  #from = 0
  #to = 0
  #leaf = -1
  #page: Buffer
  #node = 0
  #nodes = 0

  /** It reads `windowPages` at a time. */
  constructor(file: PagedFile, tree: TreeFacts, windowPages: number = MOST_WINDOW_PAGES) {
    this.#file = file
    this.#leaves = leavesOf(file, tree)
    this.#window = Buffer.allocUnsafeSlow(windowPages * file.pageBytes)
    this.#page = this.#window
  }

  /** SnapshotError `Corrupted`, `Io`. */
  advance(): boolean {
    if (this.#node >= this.#nodes && !this.#nextLeaf()) return false
    const page = this.#page
    const leaf = this.#leaves[this.#leaf]!
    const at = nodeAt(page, this.#node++, leaf, this.#file)
    const keyAt = at + NODE_HEADER_BYTES
    const keyEnd = keyAt + page.readUInt16LE(at + 6)
    const length = page.readUInt32LE(at)
    const overflows = (page.readUInt16LE(at + 4) & NODE_FLAG.overflow) !== 0
    if (keyEnd + (overflows ? POINTER_BYTES : length) > page.length) throw damaged(this.#file, leaf)
    this.text = page.toString('latin1', keyAt, keyEnd)
    this.value = overflows
      ? overflow(this.#file, readU64(page, keyEnd), length)
      : page.subarray(keyEnd, keyEnd + length)
    this.records++
    return true
  }

  #nextLeaf(): boolean {
    if (++this.#leaf >= this.#leaves.length) return false
    if (this.#leaf >= this.#to) this.#fill()
    const { pageBytes } = this.#file
    const at = (this.#leaf - this.#from) * pageBytes
    this.#page = this.#window.subarray(at, at + pageBytes)
    this.#nodes = nodesOf(this.#page, this.#leaves[this.#leaf]!, PAGE_FLAG.leaf, this.#file)
    this.#node = 0
    return true
  }

  /** Reads leaves that lie side by side. */
  #fill(): void {
    const first = this.#leaves[this.#leaf]!
    const most = this.#window.length / this.#file.pageBytes
    let count = 1
    while (count < most && this.#leaves[this.#leaf + count] === first + count) count++
    readPages(this.#file, first, this.#window.subarray(0, count * this.#file.pageBytes))
    this.#from = this.#leaf
    this.#to = this.#leaf + count
  }
}

/**
 * The page numbers of the leaves of a tree, in order. Never more pages than the tree states: a branch that leads
 * back to itself would have leaves without end.
 */
function leavesOf(file: PagedFile, tree: TreeFacts): readonly number[] {
  const { root } = tree
  if (root === undefined) return []
  let level: readonly number[] = [root]
  let branches = 0
  const page = Buffer.allocUnsafeSlow(file.pageBytes)
  for (let depth = 1; depth < tree.depth; depth++) {
    const below: number[] = []
    for (const number of level) {
      if (++branches > tree.branchPages) throw damaged(file, number)
      readPages(file, number, page)
      const nodes = nodesOf(page, number, PAGE_FLAG.branch, file)
      if (below.length + nodes > tree.branchPages + tree.leafPages) throw damaged(file, number)
      for (let i = 0; i < nodes; i++) below.push(childOf(page, nodeAt(page, i, number, file)))
    }
    level = below
  }
  if (level.length !== tree.leafPages) throw damaged(file, root)
  return level
}

/** How many nodes a page of this kind has, at least one. */
function nodesOf(page: Buffer, number: number, kind: number, file: PagedFile): number {
  const nodes = page.readUInt16LE(20) >> 1
  const fits = nodes > 0 && PAGE_HEADER_BYTES + 2 * nodes <= page.length
  if (!fits || readU64(page, 0) !== number || (page.readUInt16LE(18) & kind) === 0)
    throw damaged(file, number)
  return nodes
}

function nodeAt(page: Buffer, node: number, number: number, file: PagedFile): number {
  const at = PAGE_HEADER_BYTES + page.readUInt16LE(PAGE_HEADER_BYTES + 2 * node)
  if (at + NODE_HEADER_BYTES > page.length) throw damaged(file, number)
  return at
}

function overflow(file: PagedFile, first: number, length: number): Uint8Array {
  const needed = PAGE_HEADER_BYTES + length
  const page = Buffer.allocUnsafeSlow(Math.min(needed, file.pageBytes))
  readPages(file, first, page)
  const isOverflow = readU64(page, 0) === first && (page.readUInt16LE(18) & PAGE_FLAG.overflow) !== 0
  // Before there is memory for a length that may be damage.
  if (!isOverflow || needed > page.readUInt32LE(20) * file.pageBytes) throw damaged(file, first)
  if (needed === page.length) return page.subarray(PAGE_HEADER_BYTES)
  const bytes = Buffer.allocUnsafeSlow(needed)
  readPages(file, first, bytes)
  return bytes.subarray(PAGE_HEADER_BYTES)
}

function readPages(file: PagedFile, first: number, target: Buffer): void {
  for (let got = 0; got < target.length;) {
    const more = readSync(file.descriptor, target, got, target.length - got, first * file.pageBytes + got)
    if (more === 0) throw damaged(file, first)
    got += more
  }
}

function damaged({ path, pageBytes }: PagedFile, page: number): SnapshotError {
  return new SnapshotError('Corrupted', `${path} is damaged: page ${page} is not what its tree says`, {
    path,
    at: page * pageBytes,
  })
}

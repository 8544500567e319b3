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

/** How many pages that lie side by side are read at once. */
const WINDOW_PAGES = 16

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

  constructor(file: PagedFile, tree: TreeFacts) {
    this.#file = file
    this.#leaves = leavesOf(file, tree)
    this.#window = Buffer.allocUnsafeSlow(WINDOW_PAGES * file.pageBytes)
    this.#page = this.#window
  }

  /** SnapshotError `Corrupted`, `Io`. */
  advance(): boolean {
    if (this.#node >= this.#nodes && !this.#nextLeaf()) return false
    const page = this.#page
    const at = PAGE_HEADER_BYTES + page.readUInt16LE(PAGE_HEADER_BYTES + 2 * this.#node++)
    const keyAt = at + NODE_HEADER_BYTES
    const keyEnd = keyAt + page.readUInt16LE(at + 6)
    const length = page.readUInt32LE(at)
    this.text = page.toString('latin1', keyAt, keyEnd)
    if ((page.readUInt16LE(at + 4) & NODE_FLAG.overflow) === 0) {
      if (keyEnd + length > page.length) throw damaged(this.#file, this.#leaves[this.#leaf]!)
      this.value = page.subarray(keyEnd, keyEnd + length)
    } else this.value = overflow(this.#file, readU64(page, keyEnd), length)
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
    let count = 1
    while (count < WINDOW_PAGES && this.#leaves[this.#leaf + count] === first + count) count++
    readPages(this.#file, first, this.#window.subarray(0, count * this.#file.pageBytes))
    this.#from = this.#leaf
    this.#to = this.#leaf + count
  }
}

/** The page numbers of the leaves of a tree, in order. */
function leavesOf(file: PagedFile, tree: TreeFacts): readonly number[] {
  if (tree.root === undefined) return []
  let level: readonly number[] = [tree.root]
  const page = Buffer.allocUnsafeSlow(file.pageBytes)
  for (let depth = 1; depth < tree.depth; depth++) {
    const below: number[] = []
    for (const number of level) {
      readPages(file, number, page)
      const nodes = nodesOf(page, number, PAGE_FLAG.branch, file)
      for (let i = 0; i < nodes; i++)
        below.push(childOf(page, PAGE_HEADER_BYTES + page.readUInt16LE(PAGE_HEADER_BYTES + 2 * i)))
    }
    level = below
  }
  return level
}

function nodesOf(page: Buffer, number: number, kind: number, file: PagedFile): number {
  if (readU64(page, 0) !== number || (page.readUInt16LE(18) & kind) === 0) throw damaged(file, number)
  return page.readUInt16LE(20) >> 1
}

function overflow(file: PagedFile, first: number, length: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(PAGE_HEADER_BYTES + length)
  readPages(file, first, bytes)
  if (readU64(bytes, 0) !== first || (bytes.readUInt16LE(18) & PAGE_FLAG.overflow) === 0)
    throw damaged(file, first)
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

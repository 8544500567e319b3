import type { FileHandle } from 'node:fs/promises'
import { readFully } from './head-check.ts'
import {
  childOf,
  NODE_FLAG,
  NODE_HEADER_BYTES,
  PAGE_FLAG,
  PAGE_HEADER_BYTES,
  readTree,
  readU64,
  TREE_BYTES,
  treeIsPlausible,
  type MetaPage,
  type TreeFacts,
} from './lmdb-page.ts'
import { PageWindow } from './page-window.ts'

export interface WalkOptions {
  /** Which named databases are walked; without it all are. */
  readonly walks?: (database: string) => boolean
  /** Whether the tree of free pages is left out, as beside a writer. */
  readonly skipFree?: boolean
  /** Sees each record of each named database; false stops the walk as damage. */
  readonly onRecord?: (database: string, key: Buffer, value: Buffer) => boolean
  readonly signal?: AbortSignal | undefined
}

export interface WalkResult {
  readonly databases: ReadonlyMap<string, TreeFacts>
  readonly pages: number
  /** The first damage met, when there is any. */
  readonly damage?: { readonly at: number; readonly what: string }
}

/**
 * Visits every page the newest commit of a file reaches, by plain reads: page numbers, types, bounds,
 * order of keys, each page once, counts as the trees state them. What passes cannot crash the library
 * or end its reads early; whether a value is the one that was written only its checksum tells.
 */
export async function walkPages(
  file: FileHandle,
  meta: MetaPage,
  options: WalkOptions = {},
): Promise<WalkResult> {
  const walk = new Walk(file, meta, options)
  try {
    await walk.run()
    return { databases: walk.databases, pages: walk.pages }
  } catch (error) {
    if (!(error instanceof Damage)) throw error
    const { page, what } = error
    return {
      databases: walk.databases,
      pages: walk.pages,
      damage: { at: page * meta.pageBytes, what: `page ${page}: ${what}` },
    }
  }
}

class Damage extends Error {
  readonly page: number
  readonly what: string

  constructor(page: number, what: string) {
    super(what)
    this.page = page
    this.what = what
  }
}

interface Tally {
  leafPages: number
  branchPages: number
  overflowPages: number
  entries: number
  lastKey: Buffer | undefined
  /** What the branches on the way say of the next key. */
  atLeast: Buffer | undefined
}

class Walk {
  readonly databases = new Map<string, TreeFacts>()
  pages = 0
  readonly #file: FileHandle
  readonly #meta: MetaPage
  readonly #options: WalkOptions
  readonly #window: PageWindow
  readonly #reached: Uint8Array

  constructor(file: FileHandle, meta: MetaPage, options: WalkOptions) {
    this.#file = file
    this.#meta = meta
    this.#options = options
    this.#window = new PageWindow(file, meta.pageBytes)
    this.#reached = new Uint8Array(Math.ceil((meta.lastPage + 1) / 8))
  }

  async run(): Promise<void> {
    const { walks, skipFree } = this.#options
    if (skipFree !== true) await this.#tree('', this.#meta.freeTree, 'free')
    await this.#tree('', this.#meta.mainTree, 'main')
    for (const [name, tree] of this.databases)
      if (walks?.(name) !== false) await this.#tree(name, tree, 'named')
  }

  async #tree(name: string, tree: TreeFacts, kind: 'free' | 'main' | 'named'): Promise<void> {
    if (tree.root === undefined) return
    const counts = { leafPages: 0, branchPages: 0, overflowPages: 0, entries: 0 }
    const tally: Tally = { ...counts, lastKey: undefined, atLeast: undefined }
    await this.#page(tree.root, 1, { name, tree, kind, tally })
    for (const what of ['leafPages', 'branchPages', 'overflowPages', 'entries'] as const)
      if (tally[what] !== tree[what])
        throw new Damage(tree.root, `${tally[what]} ${what} below it, and ${tree[what]} stated`)
  }

  async #page(number: number, depth: number, visit: Visit): Promise<void> {
    this.#options.signal?.throwIfAborted()
    this.#reach(number, 1)
    const leaf = depth === visit.tree.depth
    const found = await this.#window.page(number)
    if (found === undefined) throw new Damage(number, 'it is behind the end of the file')
    // The window moves below a branch, and for the overflow pages of a leaf.
    const page = Buffer.from(found)
    const nodes = this.#nodesOf(page, number, leaf)
    if (!leaf && nodes < 2 && depth > 1) throw new Damage(number, 'a branch with one child')
    visit.tally[leaf ? 'leafPages' : 'branchPages']++
    for (let i = 0; i < nodes; i++) {
      const at = PAGE_HEADER_BYTES + page.readUInt16LE(PAGE_HEADER_BYTES + 2 * i)
      const keyAt = at + NODE_HEADER_BYTES
      if (at < PAGE_HEADER_BYTES + page.readUInt16LE(22) || keyAt > page.length)
        throw new Damage(number, 'a node outside its page')
      const keyEnd = keyAt + page.readUInt16LE(at + 6)
      if (keyEnd > page.length) throw new Damage(number, 'a key outside its page')
      if (leaf) await this.#leafNode(page, number, { at, keyAt, keyEnd }, visit)
      else {
        // The first child of a branch has no key of its own.
        if (i > 0) separate(number, page.subarray(keyAt, keyEnd), visit)
        await this.#page(childOf(page, at), depth + 1, visit)
      }
    }
  }

  #nodesOf(page: Buffer, number: number, leaf: boolean): number {
    const stated = readU64(page, 0)
    if (stated !== number) throw new Damage(number, `it says that it is page ${stated}`)
    const kinds = PAGE_FLAG.branch | PAGE_FLAG.leaf | PAGE_FLAG.overflow | 0x20
    if ((page.readUInt16LE(18) & kinds) !== (leaf ? PAGE_FLAG.leaf : PAGE_FLAG.branch))
      throw new Damage(number, 'it is of another kind')
    const lower = page.readUInt16LE(20)
    const upper = page.readUInt16LE(22)
    if ((lower & 1) === 1 || lower > upper || upper > page.length - PAGE_HEADER_BYTES)
      throw new Damage(number, 'its bounds are impossible')
    if (readU64(page, 8) > this.#meta.transaction) throw new Damage(number, 'it is newer than the commit')
    if (lower === 0) throw new Damage(number, 'it is empty')
    return lower >> 1
  }

  async #leafNode(page: Buffer, number: number, node: Node, visit: Visit): Promise<void> {
    const { at, keyAt, keyEnd } = node
    const { tally, kind, name } = visit
    const flags = page.readUInt16LE(at + 4)
    if ((flags & ~(NODE_FLAG.overflow | NODE_FLAG.subDatabase)) !== 0)
      throw new Damage(number, `a node with flags ${flags}`)
    const key = page.subarray(keyAt, keyEnd)
    if (key.length === 0) throw new Damage(number, 'an empty key')
    // The free tree is ordered by number, not by bytes.
    if (kind !== 'free' && tally.lastKey !== undefined && Buffer.compare(tally.lastKey, key) >= 0)
      throw new Damage(number, 'keys out of order')
    if (tally.atLeast !== undefined && Buffer.compare(tally.atLeast, key) > 0)
      throw new Damage(number, 'a key below what the branch above it says')
    tally.atLeast = undefined
    tally.lastKey = key
    tally.entries++
    const length = page.readUInt32LE(at)
    if ((flags & NODE_FLAG.overflow) !== 0) {
      if (keyEnd + 8 > page.length) throw new Damage(number, 'an overflow pointer outside its page')
      const value = await this.#overflow(readU64(page, keyEnd), length, tally)
      if (kind === 'named') this.#record(number, name, key, value)
      return
    }
    if (keyEnd + length > page.length) throw new Damage(number, 'a value outside its page')
    if ((flags & NODE_FLAG.subDatabase) !== 0) {
      if (kind !== 'main' || length !== TREE_BYTES) throw new Damage(number, 'a misplaced database record')
      const tree = readTree(page, keyEnd)
      if (!treeIsPlausible(tree, this.#meta.lastPage)) throw new Damage(number, 'an impossible database')
      // The library ends the names it stores with a zero.
      this.databases.set(key.toString('utf8').replace(/\0$/, ''), tree)
    } else if (kind === 'named') this.#record(number, name, key, page.subarray(keyEnd, keyEnd + length))
  }

  #record(number: number, name: string, key: Buffer, value: Buffer): void {
    if (this.#options.onRecord?.(name, key, value) === false)
      throw new Damage(number, `a record of ${name} fails its checksum`)
  }

  async #overflow(first: number, length: number, tally: Tally): Promise<Buffer> {
    const { pageBytes } = this.#meta
    const needed = Math.floor((PAGE_HEADER_BYTES - 1 + length) / pageBytes) + 1
    this.#mustBeInside(first, needed)
    const bytes = Buffer.allocUnsafe(PAGE_HEADER_BYTES + length)
    if ((await readFully(this.#file, bytes, first * pageBytes)) < bytes.length)
      throw new Damage(first, 'overflow pages behind the end of the file')
    // A value that a transaction makes shorter again keeps the pages of the longer one.
    const count = bytes.readUInt32LE(20)
    const stated = readU64(bytes, 0) === first && count >= needed
    if (!stated || (bytes.readUInt16LE(18) & PAGE_FLAG.overflow) === 0)
      throw new Damage(first, 'it is no overflow page')
    this.#reach(first, count)
    tally.overflowPages += count
    return bytes.subarray(PAGE_HEADER_BYTES)
  }

  #mustBeInside(first: number, count: number): void {
    if (!(first >= 2 && first + count - 1 <= this.#meta.lastPage))
      throw new Damage(Math.min(first, this.#meta.lastPage), 'it is out of bounds')
  }

  #reach(first: number, count: number): void {
    this.#mustBeInside(first, count)
    for (let page = first; page < first + count; page++) {
      const bit = 1 << (page & 7)
      if ((this.#reached[page >> 3]! & bit) !== 0) throw new Damage(page, 'it is reached twice')
      this.#reached[page >> 3]! |= bit
    }
    this.pages += count
  }
}

interface Visit {
  readonly name: string
  readonly tree: TreeFacts
  readonly kind: 'free' | 'main' | 'named'
  readonly tally: Tally
}

interface Node {
  readonly at: number
  readonly keyAt: number
  readonly keyEnd: number
}

/** A wrong key between two children would send a search to the wrong one. */
function separate(number: number, key: Buffer, { kind, tally }: Visit): void {
  if (kind === 'free') return
  if (tally.lastKey !== undefined && Buffer.compare(tally.lastKey, key) >= 0)
    throw new Damage(number, 'a branch that begins a child inside the one before it')
  tally.atLeast = key
}

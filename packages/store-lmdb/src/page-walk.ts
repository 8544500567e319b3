import type { FileHandle } from 'node:fs/promises'
import { Slices } from '@slip/kv-core'
import { pagesOfFreeList } from './free-list.ts'
import { readFully } from './head-check.ts'
import {
  childOf,
  NODE_FLAG,
  PAGE_FLAG,
  PAGE_HEADER_BYTES,
  readTree,
  readU64,
  TREE_BYTES,
  treeIsPlausible,
  type MetaPage,
  type TreeFacts,
} from './lmdb-page.ts'
import { Damage, keyOf, mustBeOrdered, readNodes, type Bounds, type Node } from './page-nodes.ts'
import { PageSet } from './page-set.ts'
import { PageWindow } from './page-window.ts'

export interface WalkOptions {
  /** Which named databases are walked; without it all are. */
  readonly walks?: (database: string) => boolean
  /** Whether the tree of free pages is left out, as beside a writer. */
  readonly skipFree?: boolean
  /** Whether what the list of free pages says is compared with what the trees reach. */
  readonly comparesFree?: boolean
  /** Sees each record of each named database; false stops the walk as damage. */
  readonly onRecord?: (database: string, key: Buffer, value: Buffer) => boolean
  /** Only a stretch of each named database that is walked; what needs all of it is not looked at then. */
  readonly stretch?: Stretch
  readonly signal?: AbortSignal | undefined
}

/** A stretch of a database, which ends behind a leaf. */
export interface Stretch {
  /** Where it begins, itself left out; undefined for the begin of the database. */
  readonly after: Buffer | undefined
  /** Asked behind each leaf. */
  goesOn(): boolean
}

export interface WalkResult {
  readonly databases: ReadonlyMap<string, TreeFacts>
  readonly pages: number
  /** How many pages are neither free nor in use, where that was compared. */
  readonly lostPages?: number
  /** Bytes that were read. */
  readonly bytes: number
  /** The last key of a stretch that ended before its database did. */
  readonly stoppedAt?: Buffer
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
    return walk.result
  } catch (error) {
    if (!(error instanceof Damage)) throw error
    const { page, what } = error
    return { ...walk.result, damage: { at: page * meta.pageBytes, what: `page ${page}: ${what}` } }
  }
}

const META_PAGES = 2
/** A value of more is asked for what it states before it is read. */
const LARGE_BYTES = 1024 * 1024

interface Tally {
  leafPages: number
  branchPages: number
  overflowPages: number
  entries: number
}

class Walk {
  readonly #databases = new Map<string, TreeFacts>()
  readonly #file: FileHandle
  readonly #meta: MetaPage
  readonly #options: WalkOptions
  readonly #window: PageWindow
  readonly #reached: PageSet
  readonly #free: PageSet
  readonly #slices = new Slices('lmdb.check')
  #bytes = 0
  #stoppedAt: Buffer | undefined

  constructor(file: FileHandle, meta: MetaPage, options: WalkOptions) {
    this.#file = file
    this.#meta = meta
    this.#options = options
    this.#window = new PageWindow(file, meta.pageBytes)
    this.#reached = new PageSet(meta.lastPage)
    this.#free = new PageSet(options.comparesFree === true ? meta.lastPage : 0)
  }

  get result(): WalkResult {
    const [pages, free] = [this.#reached.size, this.#free.size]
    return {
      databases: this.#databases,
      pages,
      bytes: this.#bytes + this.#window.bytes,
      ...(this.#options.comparesFree === true
        ? { lostPages: this.#meta.lastPage + 1 - META_PAGES - pages - free }
        : {}),
      ...(this.#stoppedAt === undefined ? {} : { stoppedAt: this.#stoppedAt }),
    }
  }

  async run(): Promise<void> {
    const { walks, skipFree } = this.#options
    this.#slices.begin()
    try {
      if (skipFree !== true) await this.#tree('', this.#meta.freeTree, 'free')
      await this.#tree('', this.#meta.mainTree, 'main')
      for (const [name, tree] of this.#databases)
        if (walks?.(name) !== false) await this.#tree(name, tree, 'named')
    } finally {
      this.#slices.end()
    }
  }

  async #tree(name: string, tree: TreeFacts, kind: 'free' | 'main' | 'named'): Promise<void> {
    if (tree.root === undefined) return
    const tally: Tally = { leafPages: 0, branchPages: 0, overflowPages: 0, entries: 0 }
    const stretch = kind === 'named' ? this.#options.stretch : undefined
    await this.#page(tree.root, 1, { name, tree, kind, tally, stretch }, {})
    if (stretch !== undefined) return
    for (const what of ['leafPages', 'branchPages', 'overflowPages', 'entries'] as const)
      if (tally[what] !== tree[what])
        throw new Damage(tree.root, `${tally[what]} ${what} below it, and ${tree[what]} stated`)
  }

  async #page(number: number, depth: number, visit: Visit, bounds: Bounds): Promise<void> {
    this.#options.signal?.throwIfAborted()
    if (this.#slices.due()) await this.#slices.pause()
    this.#reach(number, 1)
    const leaf = depth === visit.tree.depth
    const found = this.#window.has(number) ? await this.#window.page(number) : await this.#load(number)
    if (found === undefined) throw new Damage(number, 'it is behind the end of the file')
    // The window moves below a branch, and for the overflow pages of a leaf.
    const page = Buffer.from(found)
    const nodes = readNodes(page, number, leaf)
    if (readU64(page, 8) > this.#meta.transaction) throw new Damage(number, 'it is newer than the commit')
    if (!leaf && nodes.length < 2 && depth > 1) throw new Damage(number, 'a branch with one child')
    visit.tally[leaf ? 'leafPages' : 'branchPages']++
    mustBeOrdered(page, number, nodes, { ...bounds, leaf, keys: visit.kind === 'free' ? 'numbers' : 'bytes' })
    if (leaf) await this.#leaf(page, number, nodes, visit)
    else await this.#branch(page, depth, nodes, visit, bounds)
  }

  /** Waiting for the disk is no work. */
  async #load(number: number): Promise<Buffer | undefined> {
    this.#slices.end()
    const page = await this.#window.page(number)
    this.#slices.begin()
    return page
  }

  async #branch(
    page: Buffer,
    depth: number,
    nodes: readonly Node[],
    visit: Visit,
    bounds: Bounds,
  ): Promise<void> {
    const after = visit.stretch?.after
    for (const [i, node] of nodes.entries()) {
      const next = nodes[i + 1]
      // All below it was walked before.
      const isDone =
        after !== undefined && next !== undefined && Buffer.compare(keyOf(page, next), after) <= 0
      if (isDone) continue
      await this.#page(childOf(page, node.at), depth + 1, visit, {
        from: i === 0 ? bounds.from : keyOf(page, node),
        to: next === undefined ? bounds.to : keyOf(page, next),
      })
      if (this.#stoppedAt !== undefined) return
    }
  }

  async #leaf(page: Buffer, number: number, nodes: readonly Node[], visit: Visit): Promise<void> {
    const { stretch } = visit
    for (const node of nodes) {
      if (stretch?.after !== undefined && Buffer.compare(keyOf(page, node), stretch.after) <= 0) continue
      await this.#leafNode(page, number, node, visit)
    }
    if (stretch !== undefined && !stretch.goesOn()) this.#stoppedAt = Buffer.from(keyOf(page, nodes.at(-1)!))
  }

  async #leafNode(page: Buffer, number: number, node: Node, visit: Visit): Promise<void> {
    const { at, keyAt, keyEnd } = node
    const { tally, kind, name } = visit
    const flags = page.readUInt16LE(at + 4)
    if ((flags & ~(NODE_FLAG.overflow | NODE_FLAG.subDatabase)) !== 0)
      throw new Damage(number, `a node with flags ${flags}`)
    const key = page.subarray(keyAt, keyEnd)
    if (key.length === 0) throw new Damage(number, 'an empty key')
    tally.entries++
    const length = page.readUInt32LE(at)
    if ((flags & NODE_FLAG.overflow) !== 0) {
      if (keyEnd + 8 > page.length) throw new Damage(number, 'an overflow pointer outside its page')
      const value = await this.#overflow(readU64(page, keyEnd), length, tally)
      if (kind === 'named') this.#record(number, name, key, value)
      else if (kind === 'free') this.#freeList(number, value)
      return
    }
    if (keyEnd + length > page.length) throw new Damage(number, 'a value outside its page')
    const value = page.subarray(keyEnd, keyEnd + length)
    if ((flags & NODE_FLAG.subDatabase) !== 0) {
      if (kind !== 'main' || length !== TREE_BYTES) throw new Damage(number, 'a misplaced database record')
      const tree = readTree(page, keyEnd)
      if (!treeIsPlausible(tree, this.#meta.lastPage)) throw new Damage(number, 'an impossible database')
      // The library ends the names it stores with a zero.
      this.#databases.set(key.toString('utf8').replace(/\0$/, ''), tree)
    } else if (kind === 'named') this.#record(number, name, key, value)
    else if (kind === 'free') this.#freeList(number, value)
  }

  #freeList(number: number, list: Buffer): void {
    if (this.#options.comparesFree !== true) return
    const runs = pagesOfFreeList(list)
    if (runs === undefined) throw new Damage(number, 'a list of free pages that is longer than its record')
    for (const { first, count } of runs) {
      this.#mustBeInside(first, count)
      for (let page = first; page < first + count; page++) {
        if (!this.#free.add(page)) throw new Damage(page, 'it is free twice')
        if (this.#reached.has(page)) throw new Damage(page, 'it is free and in use')
      }
    }
  }

  #record(number: number, name: string, key: Buffer, value: Buffer): void {
    if (this.#options.onRecord?.(name, key, value) === false)
      throw new Damage(number, `a record of ${name} fails its checksum`)
  }

  async #overflow(first: number, length: number, tally: Tally): Promise<Buffer> {
    const { pageBytes } = this.#meta
    const needed = Math.floor((PAGE_HEADER_BYTES - 1 + length) / pageBytes) + 1
    this.#mustBeInside(first, needed)
    // Before there is memory for a length that may be damage.
    if (length > LARGE_BYTES) overflowCount(await this.#bytesAt(first, PAGE_HEADER_BYTES), first, needed)
    const bytes = await this.#bytesAt(first, PAGE_HEADER_BYTES + length)
    const count = overflowCount(bytes, first, needed)
    this.#reach(first, count)
    tally.overflowPages += count
    return bytes.subarray(PAGE_HEADER_BYTES)
  }

  async #bytesAt(page: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length)
    if ((await readFully(this.#file, bytes, page * this.#meta.pageBytes)) < length)
      throw new Damage(page, 'overflow pages behind the end of the file')
    this.#bytes += length
    return bytes
  }

  #mustBeInside(first: number, count: number): void {
    if (!(first >= 2 && first + count - 1 <= this.#meta.lastPage))
      throw new Damage(Math.min(first, this.#meta.lastPage), 'it is out of bounds')
  }

  #reach(first: number, count: number): void {
    this.#mustBeInside(first, count)
    for (let page = first; page < first + count; page++) {
      if (!this.#reached.add(page)) throw new Damage(page, 'it is reached twice')
      if (this.#options.comparesFree === true && this.#free.has(page))
        throw new Damage(page, 'it is free and in use')
    }
  }
}

/** How many pages a value states; it needs so many, and keeps more where a transaction made it shorter again. */
function overflowCount(bytes: Buffer, first: number, needed: number): number {
  const count = bytes.readUInt32LE(20)
  const stated = readU64(bytes, 0) === first && count >= needed
  if (!stated || (bytes.readUInt16LE(18) & PAGE_FLAG.overflow) === 0)
    throw new Damage(first, 'it is no overflow page')
  return count
}

interface Visit {
  readonly name: string
  readonly tree: TreeFacts
  readonly kind: 'free' | 'main' | 'named'
  readonly tally: Tally
  readonly stretch: Stretch | undefined
}

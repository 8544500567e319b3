/** Bytes before the content of every page; pointers inside a page are relative to this. */
export const PAGE_HEADER_BYTES = 24

/** Enough of a file to read the first meta page. */
export const META_BYTES = 192

export const PAGE_FLAG = { branch: 0x01, leaf: 0x02, overflow: 0x04, meta: 0x08 } as const
export const NODE_FLAG = { overflow: 0x01, subDatabase: 0x02 } as const

/** Bytes of a node before its key. */
export const NODE_HEADER_BYTES = 8

/** A sub-database record, as it is in the main tree. */
export const TREE_BYTES = 48

const MAGIC = 0xbeef_c0de
const FORMAT_VERSION = 2
/** The root of an empty tree: all bits set, which no double holds. */
const NO_PAGE = 2 ** 53

/** A B+tree as a meta page, or a record of the main tree, describes it. */
export interface TreeFacts {
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  readonly entries: number
  /** undefined when the tree is empty. */
  readonly root: number | undefined
}

/** One of the two pages that say where everything is; the one with the higher transaction counts. */
export interface MetaPage {
  readonly pageBytes: number
  readonly freeTree: TreeFacts
  readonly mainTree: TreeFacts
  readonly lastPage: number
  readonly transaction: number
}

/** A u64; 2^53 for all that is not exact. */
export function readU64(bytes: Buffer, at: number): number {
  const high = bytes.readUInt32LE(at + 4)
  return high >= 0x20_0000 ? NO_PAGE : high * 2 ** 32 + bytes.readUInt32LE(at)
}

export function readTree(bytes: Buffer, at: number): TreeFacts {
  const root = readU64(bytes, at + 40)
  return {
    depth: bytes.readUInt16LE(at + 6),
    branchPages: readU64(bytes, at + 8),
    leafPages: readU64(bytes, at + 16),
    overflowPages: readU64(bytes, at + 24),
    entries: readU64(bytes, at + 32),
    root: root === NO_PAGE ? undefined : root,
  }
}

/** The meta page at `at`, or what is wrong with it. */
export function readMeta(bytes: Buffer, at: number): MetaPage | string {
  if (bytes.readUInt32LE(at + 24) !== MAGIC || (bytes.readUInt16LE(at + 18) & PAGE_FLAG.meta) === 0)
    return 'it is no meta page of LMDB'
  const version = bytes.readUInt32LE(at + 28)
  if (version !== FORMAT_VERSION) return `its format version is ${version}, not ${FORMAT_VERSION}`
  const pageBytes = bytes.readUInt32LE(at + 48)
  if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0)
    return `its page size is ${pageBytes}`
  return {
    pageBytes,
    freeTree: readTree(bytes, at + 48),
    mainTree: readTree(bytes, at + 96),
    lastPage: readU64(bytes, at + 144),
    transaction: readU64(bytes, at + 152),
  }
}

/** Whether a tree can be one of a file whose last page is `lastPage`. */
export function treeIsPlausible(tree: TreeFacts, lastPage: number): boolean {
  if (tree.root === undefined) return tree.entries === 0 && tree.depth === 0
  const pages = tree.branchPages + tree.leafPages + tree.overflowPages
  return tree.root >= 2 && tree.root <= lastPage && tree.depth >= 1 && tree.depth <= 32 && pages <= lastPage
}

/** The page a node of a branch points to. */
export function childOf(page: Buffer, at: number): number {
  return page.readUInt16LE(at) + page.readUInt16LE(at + 2) * 2 ** 16 + page.readUInt16LE(at + 4) * 2 ** 32
}

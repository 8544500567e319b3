import { Layout, type State } from '../explorer/layout.ts'

export interface OpenersOptions {
  readonly name: string
  /** How many times the writer commits. */
  readonly commits: number
  /** Processes that open the file, beside the writer. */
  readonly openers: number
  /** How many of them read it. @default all */
  readonly readers?: number
  /** How often each of them opens it. @default 1 */
  readonly opens?: number
  /** Whether all else may happen between two slots that the writer looks at for the oldest reader. @default false */
  readonly slowScan?: boolean
  /** Whether the writer's handle begins again where it is shown less than was committed. @default true */
  readonly comparesOwn?: boolean
  /** Whether a reader keeps what it has where it is shown an older commit. @default true */
  readonly keepsNewer?: boolean
  /**
   * Whether a handle begins no other transaction while the one that it shows has the number of the newest commit, as the
   * binding does as long as that is the last one it began. @default false
   */
  readonly goesOn?: boolean
  /** Whether the writer looks, when it has nothing to write, where transactions begin. @default true */
  readonly looks?: boolean
  /** The properties that are not asked. @default none */
  readonly except?: readonly string[]
}

/** Where the writer's thread is. */
export const IDLE = 0
/** Its transaction began at an older commit: it is about to store the newest, and to abort. */
export const MENDING = 1
/** It looks for the oldest reader. */
export const SCANNING = 2
/** Its pages are in the file. */
export const WRITTEN = 3
/** Its header page is. */
export const NAMED = 4

/** Where a process that opens the file is: it has read the header pages, or it has opened it. */
export const SHUT = 0
export const LOOKED = 1
export const OPEN = 2

/** Where a handle is that begins a read transaction: it has loaded where transactions begin. */
export const AT_REST = 0
export const LOADED = 1
/** That is in its slot. */
export const SLOTTED = 2
/** It is there still. */
export const SURE = 3
/** It has read the header page. */
export const SHOWN = 4
/** It was shown less than was committed, and has asked for a mend. */
export const WAITING = 5

/**
 * Commits are called by the order in which they were written, from 1; 0 is what was there before. Its number, as LMDB
 * counts, is another where one is taken back. Rows that begin with commit 1 are at its call less one.
 */
export type OpenersFields = {
  /** Where transactions begin: a number. */
  readonly begins: number
  /** The commit that each header page names. */
  readonly headers: readonly [number, number]
  readonly writer: number
  /** How many slots it has looked at, and the oldest number so far. */
  readonly scanned: number
  readonly oldest: number
  /** The number of its last transaction, aborted ones too. */
  readonly last: number
  /** Pages that commits below this number freed are in its memory. */
  readonly loaded: number
  /** Commits whose header page was written. */
  readonly made: number
  /** Those that it has acknowledged. */
  readonly told: number
  readonly number: readonly [number, number]
  /** The commit that each begins at. */
  readonly base: readonly [number, number]
  readonly root: readonly [number, number]
  readonly leaf: readonly [number, number]
  readonly opener: readonly [number, number]
  /** The number it read in the header pages. */
  readonly header: readonly [number, number]
  readonly opens: readonly [number, number]
  /** Handle 0 is the writer's own, the others are those of the openers. */
  readonly handle: readonly [number, number]
  readonly taken: readonly [number, number]
  readonly next: readonly [number, number]
  /** What it shows, one more than the commit, 0 for nothing; and the slot that keeps it. */
  readonly cut: readonly [number, number]
  readonly slot: readonly [number, number]
  /** Which of its two slots that is: a transaction that begins has the other one. */
  readonly side: readonly [number, number]
  readonly wentBack: number
}

export type OpenersState = State<OpenersFields>

/** A root and two leaves, of which each commit replaces one. */
export const FIRST_PAGES = 3

export function openersLayout({
  commits,
  openers,
  readers = openers,
  opens = 1,
  slowScan = false,
}: OpenersOptions): Layout<OpenersFields> {
  const each = commits + 1
  const handles = readers + 1
  const pages = FIRST_PAGES + 2 * commits
  return new Layout<OpenersFields>({
    begins: each,
    headers: [2, each],
    writer: 5,
    scanned: slowScan ? 2 * handles + 1 : 1,
    oldest: each,
    last: each + 1,
    loaded: each,
    made: each,
    told: each,
    number: [commits, each],
    base: [commits, each],
    root: [commits, pages],
    leaf: [commits, pages],
    opener: [openers, 3],
    header: [openers, each],
    opens: [openers, opens + 1],
    handle: [handles, 6],
    taken: [handles, each],
    next: [handles, each],
    cut: [handles, each + 1],
    slot: [handles, each],
    side: [handles, slowScan ? 2 : 1],
    wentBack: 2,
  })
}

import type { FileHandle } from 'node:fs/promises'
import { META_BYTES, readMeta, treeIsPlausible, type MetaPage } from './lmdb-page.ts'

const USUAL_PAGE_BYTES = 4096

/**
 * What the first two pages and the size of a file say. `missingBytes` lie behind the end of the file:
 * legal where a commit freed its last pages again, damage where anything is reached in them.
 */
export type HeadVerdict =
  | {
      readonly verdict: 'plausible'
      readonly meta: MetaPage
      readonly size: number
      readonly missingBytes: number
    }
  | { readonly verdict: 'foreign' | 'damaged'; readonly at: number; readonly what: string }

/** 16 TiB of the smallest pages in use: the walk keeps a bit for each. */
const MOST_PAGES = 2 ** 32

/**
 * Reads the head of an LMDB file without mapping it: the native library ends the process when it opens
 * a file that is none, or one that is shorter than it says.
 */
export async function checkHead(file: FileHandle): Promise<HeadVerdict> {
  const { size } = await file.stat()
  // Both meta pages in one call: beside a writer they would else be of different times.
  const head = Buffer.alloc(USUAL_PAGE_BYTES + META_BYTES)
  const got = await readFully(file, head, 0)
  if (got < META_BYTES) return { verdict: 'foreign', at: 0, what: 'it is shorter than a meta page' }
  const first = readMeta(head, 0)
  if (typeof first === 'string') return { verdict: 'foreign', at: 0, what: first }
  const { pageBytes } = first
  if (size < 2 * pageBytes) return damaged(size, 'it is shorter than two meta pages')
  if (pageBytes === USUAL_PAGE_BYTES) return judgeMetas(first, readMeta(head, pageBytes), size)
  await readFully(file, head, pageBytes)
  return judgeMetas(first, readMeta(head, 0), size)
}

/** The newest of two meta pages when both can be believed. */
export function judgeMetas(first: MetaPage, second: MetaPage | string, size: number): HeadVerdict {
  const { pageBytes } = first
  if (typeof second === 'string') return damaged(pageBytes, `its second meta page: ${second}`)
  if (second.pageBytes !== pageBytes) return damaged(pageBytes, 'its meta pages disagree on the page size')
  const newest = first.transaction >= second.transaction ? first : second
  for (const [meta, at] of [
    [first, 0],
    [second, pageBytes],
  ] as const) {
    const { transaction, lastPage, freeTree, mainTree } = meta
    if (transaction === 0) continue
    // When the library fails to write a meta page it puts back whose it was, with the trees of the commit that
    // failed: their pages were written before. Nobody uses them, and the next commit writes the page anew.
    const within = meta === newest ? lastPage : Math.max(lastPage, Math.ceil(size / pageBytes) - 1)
    const plausible = treeIsPlausible(freeTree, within) && treeIsPlausible(mainTree, within)
    if (lastPage < 1 || lastPage > MOST_PAGES || !plausible)
      return damaged(at, 'a meta page points out of the file')
  }
  const [a, b] = [first.transaction, second.transaction]
  if (a === b && a > 0) return damaged(0, 'both meta pages claim one transaction')
  if (a > 0 && b > 0 && Math.abs(a - b) > 1) return damaged(0, 'the meta pages do not follow each other')
  const missingBytes = Math.max(0, (newest.lastPage + 1) * pageBytes - size)
  return { verdict: 'plausible', meta: newest, size, missingBytes }
}

/** Reads until `target` is full or the file ends; how many bytes it has got. */
export async function readFully(file: FileHandle, target: Buffer, position: number): Promise<number> {
  let got = 0
  while (got < target.length) {
    const { bytesRead } = await file.read(target, got, target.length - got, position + got)
    if (bytesRead === 0) break
    got += bytesRead
  }
  return got
}

function damaged(at: number, what: string): HeadVerdict {
  return { verdict: 'damaged', at, what }
}

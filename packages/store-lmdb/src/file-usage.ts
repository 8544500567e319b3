import { open } from 'node:fs/promises'
import { SnapshotError } from '@slip/kv-core'
import type { Environment } from './environment.ts'
import { checkHead } from './head-check.ts'
import type { TreeFacts } from './lmdb-page.ts'
import { walkPages } from './page-walk.ts'

/** How the file of a fold is used. */
export interface FileUsage {
  readonly fileBytes: number
  /** Of the file: what later commits use again, once no reader sees it any more. */
  readonly freeBytes: number
  /** Addresses it is mapped to; they cost nothing, and more are taken when the file outgrows them. */
  readonly mapBytes: number
  readonly maxReaders: number
  /** Read transactions that are open now, in any process. */
  readonly readers: readonly OpenTransaction[]
}

export interface OpenTransaction {
  readonly pid: number
  /** How many commits were made since the one it sees. */
  readonly behind: number
}

const ATTEMPTS = 3

/** `environment` has to have a read transaction open, so that the pages that are looked at stay. */
export async function fileUsage(path: string, { root }: Environment): Promise<FileUsage> {
  const { mapSize, maxReaders } = root.env.info()
  const { fileBytes, freeBytes, transaction } = await pagesOf(path)
  const readers = openTransactions(root.readerList()).map(({ pid, transaction: sees }) => ({
    pid,
    behind: Math.max(0, transaction - sees),
  }))
  return { fileBytes, freeBytes, mapBytes: mapSize, maxReaders, readers }
}

/** What is listed as `pid thread transaction`; a slot that is not in use has no transaction. */
function openTransactions(list: string): { readonly pid: number; readonly transaction: number }[] {
  return list.split('\n').flatMap((line) => {
    const [, pid, transaction] = /^\s*(\d+)\s+\S+\s+(\d+)\s*$/.exec(line) ?? []
    return pid === undefined ? [] : [{ pid: Number(pid), transaction: Number(transaction) }]
  })
}

async function pagesOf(
  path: string,
): Promise<{ readonly fileBytes: number; readonly freeBytes: number; readonly transaction: number }> {
  const file = await open(path)
  try {
    for (let attempt = 1; ; attempt++) {
      const head = await checkHead(file)
      if (head.verdict === 'plausible') {
        const { meta, size } = head
        const { databases, damage } = await walkPages(file, meta, { walks: () => false, skipFree: true })
        if (damage === undefined) {
          const trees = [meta.freeTree, meta.mainTree, ...databases.values()]
          const used = trees.reduce((sum, tree) => sum + pagesIn(tree), META_PAGES)
          const freeBytes = (meta.lastPage + 1 - used) * meta.pageBytes
          return { fileBytes: size, freeBytes, transaction: meta.transaction }
        }
      }
      // A writer was in the middle of a meta page, or it is damage, which is not told here.
      if (attempt >= ATTEMPTS)
        throw new SnapshotError('Corrupted', `${path} does not say what it uses`, { path })
    }
  } finally {
    await file.close()
  }
}

const META_PAGES = 2

function pagesIn({ branchPages, leafPages, overflowPages }: TreeFacts): number {
  return branchPages + leafPages + overflowPages
}

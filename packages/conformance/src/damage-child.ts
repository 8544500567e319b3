import { SnapshotError, type Recovery, type SnapshotErrorCode, type SnapshotLocation } from '@slip/kv-core'
import { contentsOf, type FoldContents } from './fold-contents.ts'
import { answerQuestions } from './forked-child.ts'
import { at, put } from './updates.ts'

export interface DamageQuestion {
  readonly module: string
  readonly path: string
  /** Whether it is read at all once it is open. */
  readonly reads: boolean
  /** Where the fold goes on with one more put of the key `after`; left out it is only read. */
  readonly goOnAt: number | undefined
}

export interface DamageAnswer {
  readonly opened: boolean
  readonly contents?: FoldContents
  readonly recovery?: Recovery
  /** After going on, closing and opening again. */
  readonly later?: FoldContents
  /** The typed error that ended it. */
  readonly code?: SnapshotErrorCode
  /** Any other error. */
  readonly untyped?: string
}

answerQuestions(async (question): Promise<DamageAnswer> => {
  const { module, path, reads, goOnAt } = question as DamageQuestion
  const { default: locate } = (await import(module)) as { default: (path: string) => SnapshotLocation }
  let answer: DamageAnswer = { opened: false }
  try {
    const store = await locate(path).open()
    answer = { opened: true, ...(store.recovery === undefined ? {} : { recovery: store.recovery }) }
    try {
      if (reads) answer = { ...answer, contents: contentsOf(store) }
      if (goOnAt !== undefined) await store.apply([put('after', 'damage', goOnAt)], at(goOnAt))
    } finally {
      await store.close()
    }
    if (goOnAt === undefined) return answer
    const again = await locate(path).open()
    answer = { ...answer, later: contentsOf(again) }
    await again.close()
    return answer
  } catch (error) {
    return SnapshotError.is(error) ? { ...answer, code: error.code } : { ...answer, untyped: String(error) }
  }
})

import { SnapshotError, type KvUpdate, type SnapshotLocation, type SnapshotStore } from '@slip/kv-core'
import { answerQuestions } from './forked-child.ts'
import { at, put } from './updates.ts'

const PUTS = 8
const VALUE_BYTES = 1_500

export interface FillQuestion {
  readonly module: string
  readonly path: string
  /** How many commits to add; fewer when one is refused. */
  readonly commits: number
}

export interface FillAnswer {
  /** The cursor found at opening; undefined when opening was refused. */
  readonly openedAt: number | undefined
  readonly acknowledged: number
  /** The error code of the refusal that ended it: of opening, of an apply, or of the close. */
  readonly code?: string
  /** What another apply to the handle that had refused one became: a code, or `accepted`. */
  readonly again?: string
  /** What the fold shows that is not the commit of its cursor. */
  readonly wrong?: string
  readonly untyped?: string
}

// A write beyond the limit on the size of files is an error like any other, not a signal that ends the process.
process.on('SIGXFSZ', () => {})

answerQuestions(async (question): Promise<FillAnswer> => {
  const { module, path, commits } = question as FillQuestion
  let answer: FillAnswer = { openedAt: undefined, acknowledged: 0 }
  try {
    const { default: locate } = (await import(module)) as { default: (path: string) => SnapshotLocation }
    const store = await locate(path).open()
    const openedAt = Number(store.cursor.revision ?? 0n)
    answer = { openedAt, acknowledged: openedAt, ...wrongIn(store, openedAt) }
    try {
      for (let i = 1; i <= commits; i++) {
        await store.apply(fillCommit(openedAt + i), at(openedAt + i))
        answer = { ...answer, acknowledged: openedAt + i }
      }
    } catch (error) {
      const { acknowledged } = answer
      answer = { ...answer, ...failure(error), ...wrongIn(store, acknowledged) }
      const again = await store.apply([], at(acknowledged + 1)).then(() => 'accepted', failure)
      answer = { ...answer, again: typeof again === 'string' ? again : (again.code ?? again.untyped ?? '') }
    }
    try {
      await store.close()
    } catch (error) {
      answer = { ...answer, ...failure(error) }
    }
    return answer
  } catch (error) {
    return { ...answer, ...failure(error) }
  }
})

function fillCommit(revision: number): KvUpdate[] {
  const value = new Uint8Array(VALUE_BYTES).fill(revision & 255)
  return Array.from({ length: PUTS }, (_, i) => put(`k${revision}.${i}`, value, revision))
}

function wrongIn(store: SnapshotStore, revision: number): { wrong?: string } {
  const cursor = Number(store.cursor.revision ?? 0n)
  if (cursor !== revision) return { wrong: `the cursor is ${cursor}, not ${revision}` }
  let entries = 0
  for (const { key, value } of store.entries()) {
    const of = Number(key.slice(1, key.indexOf('.')))
    if (of > revision) return { wrong: `${key} at cursor ${revision}` }
    if (value.length !== VALUE_BYTES || value.some((byte) => byte !== (of & 255)))
      return { wrong: `the value of ${key}` }
    entries++
  }
  return entries === revision * PUTS ? {} : { wrong: `${entries} entries at cursor ${revision}` }
}

function failure(error: unknown): { code?: string; untyped?: string } {
  return SnapshotError.is(error) ? { code: error.code } : { untyped: String(error) }
}

import type { SnapshotLocation, SnapshotStore } from '@slip/kv-core'
import { answerQuestions } from './forked-child.ts'
import { rebuiltFold } from './rebuild-history.ts'
import { at } from './updates.ts'

export interface RebuildQuestion {
  readonly module: string
  readonly path: string
  readonly revision: number
}

let store: SnapshotStore | undefined

/** Stages the whole fold anew and commits it; the fold stays open between two questions. */
answerQuestions(async (question): Promise<{ readonly committed: number }> => {
  const { module, path, revision } = question as RebuildQuestion
  const { default: locate } = (await import(module)) as { default: (path: string) => SnapshotLocation }
  store ??= await locate(path).open()
  const staged = await store.stage!()
  const updates = rebuiltFold(revision)
  await staged.apply(updates.slice(0, 90), at(revision - 1))
  await staged.apply(updates.slice(90), at(revision))
  await staged.commit()
  return { committed: revision }
})

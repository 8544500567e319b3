import { setImmediate as nextTurn } from 'node:timers/promises'
import { KvError, SnapshotError } from '@slip/kv-core'
import { answerQuestions } from './forked-child.ts'
import { wrongIn } from './reader-history.ts'
import type { OpenProcessReader, ProcessReader } from './store-suite.ts'

export type ReaderQuestion = {
  readonly module: string
  readonly path: string
} & (
  | { readonly read: { readonly ms: number } }
  | { readonly wait: { readonly revision: bigint; readonly timeoutMs: number } }
)

export interface ReaderAnswer {
  /** Looks at the whole fold. */
  readonly looks: number
  /** Different cursors seen. */
  readonly cursors: number
  /** The first reads that were no commit. */
  readonly mixed: readonly string[]
  /** The first looks that were older than the one before. */
  readonly wentBack: readonly string[]
  /** The last cursor seen. */
  readonly last: bigint
  readonly canWait: boolean
  /** The code of what was thrown, or what it was. */
  readonly failed?: string
}

answerQuestions(async (question): Promise<ReaderAnswer> => {
  const { module, path, ...asked } = question as ReaderQuestion
  const said = {
    looks: 0,
    cursors: 0,
    mixed: [] as string[],
    wentBack: [] as string[],
    last: 0n,
    canWait: true,
  }
  let reader: ProcessReader | undefined
  try {
    const { default: open } = (await import(module)) as { default: OpenProcessReader }
    reader = await open(path)
    if ('wait' in asked) {
      said.canWait = reader.waitFor !== undefined
      await reader.waitFor?.(asked.wait.revision, { timeoutMs: asked.wait.timeoutMs })
      said.last = reader.cursor.revision ?? 0n
      return said
    }
    const until = performance.now() + asked.read.ms
    while (performance.now() < until) {
      if (reader.refresh !== undefined) reader.refresh()
      else {
        await reader.close()
        reader = await open(path)
      }
      look(reader, said)
      if (said.looks % 16 === 0) await nextTurn()
    }
    return said
  } catch (error) {
    const coded = SnapshotError.is(error) || KvError.is(error)
    return { ...said, failed: coded ? error.code : String(error) }
  } finally {
    await reader?.close()
  }
})

function look(
  reader: ProcessReader,
  said: { looks: number; cursors: number; mixed: string[]; wentBack: string[]; last: bigint },
): void {
  const cursor = reader.cursor.revision ?? 0n
  const wrong = wrongIn(reader)
  if (wrong !== undefined && said.mixed.length < 5) said.mixed.push(wrong)
  if (cursor < said.last && said.wentBack.length < 5) said.wentBack.push(`from ${said.last} to ${cursor}`)
  if (cursor !== said.last) said.cursors++
  said.last = cursor
  said.looks++
}

import { setImmediate as nextTurn } from 'node:timers/promises'
import { KvError, SnapshotError } from '@slip/kv-core'
import { answerQuestions } from './forked-child.ts'
import { wrongIn } from './reader-history.ts'
import type { OpenProcessReader, ProcessReader } from './store-suite.ts'

/**
 * `read` opens the fold once and looks again and again; `visit` opens it for each look, and closes it after that;
 * `wait` waits for a revision.
 */
export type ReaderTask =
  | { readonly read: { readonly ms: number } }
  | { readonly visit: { readonly ms: number } }
  | { readonly wait: { readonly revision: bigint; readonly timeoutMs: number } }

export type ReaderQuestion = { readonly module: string; readonly path: string } & ReaderTask

export interface ReaderAnswer {
  /** Looks at the whole fold. */
  readonly looks: number
  /** How often the fold was opened. */
  readonly openings: number
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

type Said = { -readonly [K in keyof ReaderAnswer]: ReaderAnswer[K] } & { mixed: string[]; wentBack: string[] }
type Open = () => Promise<ProcessReader>

const TURN_EVERY = 16

answerQuestions(async (question): Promise<ReaderAnswer> => {
  const { module, path, ...task } = question as ReaderQuestion
  const said: Said = {
    looks: 0,
    openings: 0,
    cursors: 0,
    mixed: [],
    wentBack: [],
    last: 0n,
    canWait: true,
  }
  try {
    const { default: openReader } = (await import(module)) as { default: OpenProcessReader }
    const open: Open = async () => {
      const reader = await openReader(path)
      said.openings++
      return reader
    }
    if ('wait' in task) await wait(open, task.wait, said)
    else if ('visit' in task) await visit(open, task.visit.ms, said)
    else await read(open, task.read.ms, said)
    return said
  } catch (error) {
    const coded = SnapshotError.is(error) || KvError.is(error)
    return { ...said, failed: coded ? error.code : String(error) }
  }
})

async function wait(
  open: Open,
  { revision, timeoutMs }: { readonly revision: bigint; readonly timeoutMs: number },
  said: Said,
): Promise<void> {
  const reader = await open()
  try {
    said.canWait = reader.waitFor !== undefined
    await reader.waitFor?.(revision, { timeoutMs })
    said.last = reader.cursor.revision ?? 0n
  } finally {
    await reader.close()
  }
}

async function read(open: Open, ms: number, said: Said): Promise<void> {
  let reader = await open()
  try {
    const until = performance.now() + ms
    while (performance.now() < until) {
      if (reader.refresh !== undefined) reader.refresh()
      else {
        await reader.close()
        reader = await open()
      }
      look(reader, said)
      if (said.looks % TURN_EVERY === 0) await nextTurn()
    }
  } finally {
    await reader.close()
  }
}

async function visit(open: Open, ms: number, said: Said): Promise<void> {
  const until = performance.now() + ms
  do {
    const reader = await open()
    try {
      look(reader, said)
    } finally {
      await reader.close()
    }
    if (said.looks % TURN_EVERY === 0) await nextTurn()
  } while (performance.now() < until)
}

function look(reader: ProcessReader, said: Said): void {
  const cursor = reader.cursor.revision ?? 0n
  const wrong = wrongIn(reader)
  if (wrong !== undefined && said.mixed.length < 5) said.mixed.push(wrong)
  if (cursor < said.last && said.wentBack.length < 5) said.wentBack.push(`from ${said.last} to ${cursor}`)
  if (cursor !== said.last) said.cursors++
  said.last = cursor
  said.looks++
}

import { SnapshotError, type CopyOptions, type WatchCursor } from '@slip/kv-core'
import { copyCommits, writeBase } from './compaction.ts'
import type { FileSystem, Turns } from '@slip/kv-core/store-parts'
import { LogDraft } from './log-draft.ts'
import { asIo } from './log-file.ts'
import { GENERATION_2_HEADER, HEADER_3_BYTES, type Generation } from './log-header.ts'
import { DRAFT_SUFFIX } from './log-path.ts'
import type { LogWriter } from './log-writer.ts'
import type { MemoryFold } from './memory/memory-fold.ts'

/** What is left to copy while applies have to wait. */
const LAST_STRETCH_BYTES = 1024 * 1024
const MOST_ROUNDS = 16

/** The state of a store between two applies. */
export interface FoldState {
  readonly fold: MemoryFold
  readonly cursor: WatchCursor
  readonly lineage: Uint8Array | undefined
  readonly end: number
}

/** Its state at this moment. */
export type FoldNow = () => FoldState

/**
 * Writes the whole fold, as it is between two applies, as the base of the draft; `onPinned` is called when
 * that is decided.
 */
export async function writeFold(
  draft: LogDraft,
  now: FoldNow,
  turns: Turns,
  { signal, onPinned }: CopyOptions = {},
): Promise<{ readonly cursor: WatchCursor; readonly end: number }> {
  const canonical = draft.generation === 2
  if (canonical) await now().fold.buildOrder(signal)
  const { walk, cursor, lineage, end } = await turns.take(() => {
    const state = now()
    return { ...state, walk: canonical ? state.fold.orderedRecords() : state.fold.liveRecords() }
  })
  onPinned?.()
  await writeBase(draft, walk, cursor, lineage, signal)
  return { cursor, end }
}

/**
 * Rewrites a log as its live records while applies go on to the old file; what they added is copied
 * over before the new file takes its place. A failure or abort leaves the old file in use.
 */
export async function rewriteLog(
  files: FileSystem,
  path: string,
  generation: Generation,
  log: {
    readonly writer: LogWriter
    readonly turns: Turns
    readonly now: FoldNow
    /** Called in the same turn, when the new file is in use and all of it is durable. */
    replaced(): void
  },
  signal: AbortSignal,
): Promise<void> {
  const { writer, turns } = log
  const { fold } = log.now()
  const draft = await LogDraft.create(files, `${path}${DRAFT_SUFFIX.compaction}`, generation)
  try {
    const base = await writeFold(draft, log.now, turns, { signal })
    let copied = Math.max(base.end, writer.generation === 3 ? HEADER_3_BYTES : GENERATION_2_HEADER.length)
    await draft.seal()
    const copyOn = async (): Promise<number> => {
      const stretch = writer.stretch(copied)
      if (stretch.to <= copied) return 0
      await copyCommits(draft, stretch, signal)
      copied = stretch.to
      return stretch.to - stretch.from
    }
    for (let round = 0; round < MOST_ROUNDS; round++) {
      if ((await copyOn()) === 0) break
      await draft.sync()
      if (writer.end - copied < LAST_STRETCH_BYTES) break
    }
    await turns.take(async () => {
      signal.throwIfAborted()
      if (log.now().fold !== fold)
        throw new SnapshotError('StoreChanged', 'the fold was replaced while it was compacted', { path })
      if ((await copyOn()) > 0) await draft.sync()
      await writer.replace(draft)
      log.replaced()
    })
  } catch (error) {
    await draft.discard()
    if (signal.aborted && error === signal.reason) throw error
    throw asIo(error, 'compaction', path)
  }
}

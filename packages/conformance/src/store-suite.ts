import type { FoldReader, SnapshotLocation, StoreFeatures, WaitOptions, WatchCursor } from '@slip/kv-core'
import type { RunCounts } from './run-counts.ts'

/** One place for one fold: `location.open()` may be called again after close, on the same data. */
export interface StoreFixture {
  readonly location: SnapshotLocation
  /**
   * A module whose default export is `(path: string) => SnapshotLocation`, for cases that use child
   * processes; needs `path`. It must be loadable by plain Node.
   */
  readonly childModule?: URL
  /**
   * The file or the directory that is the fold, and what `childModule` is called with. The kit also calls
   * it with paths of the same last name elsewhere. When it is a regular file it is also what the cases
   * of recovery cut and flip bits in.
   */
  readonly path?: string
  destroy(): Promise<void>
}

/** What the author of a store writes. What is optional switches cases on; left out, they are skipped and say so. */
export interface StoreSuite {
  /** An empty place of its own for each call. */
  create(): Promise<StoreFixture>
  /** What the store says about itself; checked against the store, both ways. */
  readonly features: StoreFeatures
  /** Case id to reason: these must fail, and passing is an error. */
  readonly knownGaps?: Readonly<Record<string, string>>
  /** For the random cases. @default `SLIP_SEED` of the environment, else a fresh one */
  readonly seed?: number
  readonly counts?: Partial<RunCounts>
  /** Damage from outside to the files of a closed fold; needs `childModule` and `path`. */
  readonly damage?: DamageRules
  /**
   * The fold on a small file system, under a limit on the size of files, and with system calls that fail:
   * all of it, or what is named; needs `childModule` and `path`. What this machine cannot do is skipped.
   */
  readonly outsideFaults?: boolean | readonly OutsideFault[]
  /** A fixture each of whose file calls asks `judge` first, for a store that has a port to the file system. */
  readonly createFaulty?: (judge: JudgeFileCall) => Promise<StoreFixture>
  /** A module whose default export is an `OpenProcessReader`, for the feature `multiProcessReaders`; needs `path`. */
  readonly readerModule?: URL
}

/** What the cases `outside/` do to the world a store lives in. */
export type OutsideFault = 'small-disk' | 'file-limit' | 'failing-calls' | 'failing-syncs'

/** What a store promises of folds that were damaged from outside. */
export interface DamageRules {
  /**
   * `all`: whatever opens and is read is right, or a typed error. `changed`: the same, but for whole records that changed
   * places or are those of another fold, where nothing in a record says whose it is and where it belongs. `some`:
   * wrong data may be read, but no damage ends the process and no error is untyped. `opening`: the same of
   * opening and closing alone; what reading a damaged fold does is not asked.
   */
  readonly detects: 'all' | 'changed' | 'some' | 'opening'
  /** Like `childModule`, with every check the store has: what it opens and reads is right, or a typed error. */
  readonly checkedModule?: URL
  /** `update` for a format that keeps the whole updates of a torn commit. @default 'commit' */
  readonly opensAt?: 'commit' | 'update'
}

/** A call to the file system, by the name of the system's: `open`, `write`, `datasync`, `rename`, … */
export interface FileCall {
  readonly call: string
  readonly path: string
}

/** The system's error code, as `ENOSPC`; or a write that takes only so many bytes. */
export type FileFault = { readonly code: string } | { readonly takes: number }

/** What becomes of a call; undefined lets it pass. */
export type JudgeFileCall = (call: FileCall) => FileFault | undefined

/** Reads a fold that another process writes. */
export interface ProcessReader extends FoldReader {
  /** Goes to the newest commit. Left out, a new reader is opened for each look. */
  refresh?(): WatchCursor
  /** Resolves when the fold shows this revision or a later one. */
  waitFor?(revision: bigint, options?: WaitOptions): Promise<void>
  close(): Promise<void>
}

/** Opens the fold at `path`; one process opens and closes it thousands of times. */
export type OpenProcessReader = (path: string) => Promise<ProcessReader>

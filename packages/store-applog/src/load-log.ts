import { SnapshotError, Slices, WatchCursor } from '@slip/kv-core'
import type { LogHandle } from '@slip/kv-core/store-parts'
import { asIo } from './log-file.ts'
import {
  GENERATION_2_HEADER,
  HEADER_3_BYTES,
  identify,
  type Generation,
  type LogHeader,
} from './log-header.ts'
import type { KeyHash } from './memory/key-hash.ts'
import { RecordRun } from './memory/record-run.ts'
import { scanGeneration2 } from './recovery-2.ts'
import { scanGeneration3 } from './recovery-3.ts'
import { scanFile, type ScanSink } from './run-scan.ts'
import type { Scan, ScanVerdict } from './scan.ts'

/** 64 runs hold 4 MiB of records, or 16,384 of them. */
const MOST_RUNS = 64

/** What a file holds. */
export interface LoadedLog<F> {
  readonly fold: F
  /** Undefined in a file of no length: any generation may begin there. */
  readonly generation: Generation | undefined
  /** Of generation 3, unless the file is empty. */
  readonly header: LogHeader | undefined
  readonly size: number
  readonly verdict: ScanVerdict
  readonly cursor: WatchCursor
  readonly lineage: Uint8Array | undefined
}

/** Where loading puts what it finds; without `hash` the runs have no hashes. */
export interface FoldSink {
  readonly hash: KeyHash | undefined
  /** About so many keys will come; called before the first. */
  reserve(count: number): void
  /** The largest piece of the file whose records it takes over without a copy; without it none. */
  readonly mostAdoptedBytes?: number
  /** With `adopt` the bytes are given away. */
  putRun(bytes: Uint8Array, run: RecordRun, adopt: boolean): void
}

/** For a log that is only checked. */
export const DISCARD: FoldSink = { hash: undefined, reserve: () => undefined, putRun: () => undefined }

/**
 * Reads the first `size` bytes of a log into the fold that `makeFold` gives for it. A damaged log is a verdict; SnapshotError
 * `InvalidFormat` or `Corrupted` with `at` 0 when the file as a whole cannot be read, `Io` when
 * reading fails.
 */
export async function loadLog<F extends FoldSink>(
  handle: LogHandle,
  path: string,
  makeFold: (generation: Generation | undefined) => F,
  options: { readonly size: number; readonly signal?: AbortSignal | undefined },
): Promise<LoadedLog<F>> {
  const { size, signal } = options
  try {
    const kind = identify(await readStart(handle, size), size)
    if (kind.kind === 'empty')
      return {
        fold: makeFold(kind.generation),
        generation: kind.generation,
        header: undefined,
        size,
        verdict: { verdict: 'intact', at: 0 },
        cursor: WatchCursor.none,
        lineage: undefined,
      }
    const fold = makeFold(kind.kind === 'generation3' ? 3 : 2)
    // Compaction leaves no garbage in the base; what follows it may be garbage by half.
    const base = kind.kind === 'generation3' ? Math.min(kind.header.baseEnd, size) : 0
    const state = new LoadState(fold, kind.kind === 'generation3', base + (size - base) / 2)
    const scan: Scan =
      kind.kind === 'generation3'
        ? scanGeneration3(kind.header, HEADER_3_BYTES, size)
        : scanGeneration2(GENERATION_2_HEADER.length, size)
    const verdict = await scanFile(scan, handle, size, state, state.slices, {
      signal,
      giveBytes: fold.mostAdoptedBytes,
    })
    state.slices.end()
    return {
      fold,
      generation: kind.kind === 'generation3' ? 3 : 2,
      header: kind.kind === 'generation3' ? kind.header : undefined,
      size,
      verdict,
      cursor: state.cursor,
      lineage: state.lineage,
    }
  } catch (error) {
    throw located(error, path, signal)
  }
}

/** A corrupt verdict as the error it is. */
export function damageError(
  verdict: ScanVerdict & { readonly verdict: 'corrupt' },
  path: string,
): SnapshotError {
  return new SnapshotError(verdict.code, `${path}: ${verdict.message}`, { path, at: verdict.at })
}

class LoadState implements ScanSink {
  readonly slices: Slices = new Slices('applog.load', 3)
  readonly #fold: FoldSink
  readonly #check: boolean
  readonly #runs: RecordRun[] = [new RecordRun()]
  #liveBytes: number
  cursor: WatchCursor = WatchCursor.none
  lineage: Uint8Array | undefined

  /** `liveBytes`: about how many bytes of live records are expected. */
  constructor(fold: FoldSink, check: boolean, liveBytes: number) {
    this.#fold = fold
    this.#check = check
    this.#liveBytes = liveBytes
  }

  records(bytes: Uint8Array, from: number, to: number, given: boolean): void | Promise<void> {
    const run = this.#runs[0]!
    const end = this.#read(run, bytes, from, to)
    if (this.#liveBytes > 0) this.#fold.reserve((this.#liveBytes * run.count) / (end - from))
    this.#liveBytes = 0
    if (end < to) return this.#many(bytes, end, to, given)
    this.#fold.putRun(bytes, run, given)
    return undefined
  }

  /** All of a frame is checked before any of it counts; the first run is read already. */
  async #many(bytes: Uint8Array, from: number, to: number, given: boolean): Promise<void> {
    let read = 1
    let at = from
    for (; at < to && read < MOST_RUNS; read++) {
      if (this.slices.due()) await this.slices.pause()
      at = this.#read((this.#runs[read] ??= new RecordRun()), bytes, at, to)
    }
    // What is too much to be kept is read again.
    const rest = at
    const spare = (this.#runs[MOST_RUNS] ??= new RecordRun())
    while (at < to) {
      if (this.slices.due()) await this.slices.pause()
      at = this.#read(spare, bytes, at, to)
    }
    for (let i = 0; i < read; i++) {
      if (this.slices.due()) await this.slices.pause()
      this.#fold.putRun(bytes, this.#runs[i]!, given)
    }
    for (at = rest; at < to;) {
      if (this.slices.due()) await this.slices.pause()
      at = spare.read(bytes, at, to, this.#fold.hash, false)
      this.#fold.putRun(bytes, spare, given)
    }
  }

  #read(run: RecordRun, bytes: Uint8Array, from: number, to: number): number {
    const end = run.read(bytes, from, to, this.#fold.hash, this.#check)
    if (end < 0) throw new SnapshotError('InvalidFormat', 'a record that cannot be read')
    return end
  }

  commit(cursor: Uint8Array, lineage: Uint8Array | undefined): void {
    this.cursor = WatchCursor.fromBytes(cursor)
    if (lineage !== undefined) this.lineage = lineage
  }
}

async function readStart(handle: LogHandle, size: number): Promise<Uint8Array> {
  const start = new Uint8Array(Math.min(size, HEADER_3_BYTES))
  let filled = 0
  while (filled < start.length) {
    const { bytesRead } = await handle.read(start, filled, start.length - filled, filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return start.subarray(0, filled)
}

function located(error: unknown, path: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true && error === signal.reason) return error
  if (!SnapshotError.is(error)) return asIo(error, 'read', path)
  if (error.path !== undefined) return error
  return new SnapshotError(error.code, `${path}: ${error.message}`, {
    cause: error,
    path,
    ...(error.at === undefined ? {} : { at: error.at }),
  })
}

import { SnapshotError, Slices, WatchCursor } from '@slip/kv-core'
import type { LogHandle } from './file-system.ts'
import { asIo } from './log-file.ts'
import {
  GENERATION_2_HEADER,
  HEADER_3_BYTES,
  identify,
  type Generation,
  type LogHeader,
} from './log-header.ts'
import type { MemoryFold } from './memory/memory-fold.ts'
import { recordLength } from './record.ts'
import { scanGeneration2 } from './recovery-2.ts'
import { scanGeneration3 } from './recovery-3.ts'
import { scanFile, type ScanSink } from './run-scan.ts'
import type { Scan, ScanVerdict } from './scan.ts'

const STRETCH_BYTES = 256 * 1024

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

/** Where loading puts what it finds. */
export type FoldSink = Pick<MemoryFold, 'putRecords'>

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
    const state = new LoadState(fold, kind.kind === 'generation3')
    const scan: Scan =
      kind.kind === 'generation3'
        ? scanGeneration3(kind.header, HEADER_3_BYTES, size)
        : scanGeneration2(GENERATION_2_HEADER.length, size)
    const verdict = await scanFile(scan, handle, size, state, state.slices, signal)
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
  readonly slices: Slices = new Slices('applog.load')
  readonly #fold: FoldSink
  readonly #check: boolean
  cursor: WatchCursor = WatchCursor.none
  lineage: Uint8Array | undefined

  constructor(fold: FoldSink, check: boolean) {
    this.#fold = fold
    this.#check = check
  }

  records(bytes: Uint8Array, from: number, to: number): void | Promise<void> {
    if (to - from <= STRETCH_BYTES) {
      if (this.#check) mustBeRecords(bytes, from, to)
      this.#fold.putRecords(bytes, from, to)
      return undefined
    }
    return this.#many(bytes, from, to)
  }

  async #many(bytes: Uint8Array, from: number, to: number): Promise<void> {
    // All of a frame is checked before any of it counts.
    for (const [start, end] of stretches(bytes, from, to)) {
      if (this.slices.due()) await this.slices.pause()
      if (this.#check) mustBeRecords(bytes, start, end)
    }
    for (const [start, end] of stretches(bytes, from, to)) {
      if (this.slices.due()) await this.slices.pause()
      this.#fold.putRecords(bytes, start, end)
    }
  }

  commit(cursor: Uint8Array, lineage: Uint8Array | undefined): void {
    this.cursor = WatchCursor.fromBytes(cursor)
    if (lineage !== undefined) this.lineage = lineage
  }
}

/** Cuts `[from, to)` between records into stretches of about 256 KiB. */
function* stretches(bytes: Uint8Array, from: number, to: number): Generator<readonly [number, number]> {
  let start = from
  let at = from
  while (at < to) {
    const length = recordLength(bytes, at, to)
    at = length < 0 ? to : at + length
    if (at - start < STRETCH_BYTES && at < to) continue
    yield [start, at]
    start = at
  }
}

/** SnapshotError `InvalidFormat` unless `bytes[from, to)` are whole valid records. */
export function mustBeRecords(bytes: Uint8Array, from: number, to: number): void {
  for (let at = from; at < to;) {
    const length = recordLength(bytes, at, to)
    if (length < 0) throw new SnapshotError('InvalidFormat', 'a record that cannot be read')
    at += length
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

import { SnapshotError, type Slices } from '@slip/kv-core'
import type { LogHandle } from '@slip/kv-core/store-parts'
import { GivenWindow, SlidingWindow } from './file-window.ts'
import type { FileWindow, Scan, ScanStep, ScanVerdict } from './scan.ts'

/** Takes what a scan finds, in order. */
export interface ScanSink {
  /**
   * `bytes[from, to)` hold whole records in the layout of `record.ts`; valid during the call, or for good
   * when they are `given` away.
   */
  records(bytes: Uint8Array, from: number, to: number, given: boolean): void | Promise<void>
  commit(cursor: Uint8Array, lineage: Uint8Array | undefined, end: number): void | Promise<void>
}

/**
 * Drives a scan over a file of `size` bytes, in slices and reads of 1 MiB. With `giveBytes` what is read
 * is given away, in pieces of at most so many bytes; a frame that is larger is not.
 */
export async function scanFile(
  scan: Scan,
  handle: LogHandle,
  size: number,
  sink: ScanSink,
  slices: Slices,
  options: { readonly signal?: AbortSignal | undefined; readonly giveBytes?: number | undefined } = {},
): Promise<ScanVerdict> {
  const { signal, giveBytes } = options
  const window =
    giveBytes === undefined ? new SlidingWindow(handle, size) : new GivenWindow(handle, size, giveBytes)
  const nothing: FileWindow = { bytes: new Uint8Array(0), given: false, offset: 0, filled: 0 }
  let given: FileWindow = nothing
  for (;;) {
    const step = scan.next(given)
    if (step.done === true) return step.value
    given = nothing
    const asked: ScanStep = step.value
    if (asked.kind === 'read') {
      const held = window.held(asked.at, asked.length)
      if (held !== undefined) given = held
      else {
        slices.end()
        given = await window.reach(asked.at, asked.length)
        signal?.throwIfAborted()
        slices.begin()
      }
      continue
    }
    const taken = take(asked, sink)
    if (taken !== undefined) await taken
    if (slices.due()) await slices.pause()
  }
}

/** The same over bytes in memory, without a pause. */
export function scanBytes(
  scan: Scan,
  bytes: Uint8Array,
  sink: { records(bytes: Uint8Array, from: number, to: number): void; commit: ScanSink['commit'] },
): ScanVerdict {
  const whole: FileWindow = { bytes, given: false, offset: 0, filled: bytes.length }
  for (;;) {
    const step = scan.next(whole)
    if (step.done === true) return step.value
    void take(step.value, sink)
  }
}

function take(step: ScanStep, sink: ScanSink): void | Promise<void> {
  if (step.kind === 'commit') return sink.commit(step.cursor, step.lineage, step.end)
  if (step.kind !== 'records') return undefined
  try {
    return sink.records(step.bytes, step.from, step.to, step.given)
  } catch (error) {
    throw SnapshotError.is(error) && error.at === undefined
      ? new SnapshotError(error.code, error.message, { cause: error, at: step.at })
      : error
  }
}

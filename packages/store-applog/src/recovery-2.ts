import { WatchCursor } from '@slip/kv-core'
import { RECORD_2_CURSOR, Record2Parser } from './record-2.ts'
import type { FileWindow, Scan, ScanStep, ScanVerdict } from './scan.ts'
import { nativeLength, writeNative } from './transcode-2.ts'

const STRETCH_BYTES = 64 * 1024

/**
 * Reads the records of a generation-2 file of `size` bytes from `start`, the position of a record, and
 * hands them on in the native layout. The rules for a torn tail are those of the Rust system: damage to
 * a length can look like one.
 */
export function* scanGeneration2(start: number, size: number): Scan {
  const parser = new Record2Parser()
  const native = new NativeStretch()
  let at = start
  let wanted = STRETCH_BYTES
  while (at < size) {
    const window = yield { kind: 'read', at, length: Math.min(wanted, size - at) }
    const to = Math.min(window.filled, size - window.offset)
    const beyond = size - window.offset - to
    for (;;) {
      const from = at - window.offset
      if (from >= to) break
      const parsed = parser.parse(window.bytes, from, to, beyond)
      if (parsed === 'needsMore') {
        wanted = Math.min(size - at, Math.max(STRETCH_BYTES, 2 * (to - from)))
        break
      }
      if (parsed !== 'record') {
        yield* native.drain(at)
        return parsed === 'zeros' ? yield* judgeZeros(at, size) : judge(parsed, parser, at)
      }
      wanted = STRETCH_BYTES
      if (parser.type === RECORD_2_CURSOR) {
        const cursor = window.bytes.slice(parser.tokenFrom, parser.tokenTo)
        yield* native.drain(at)
        if (!readable(cursor)) return unreadable(at, `a cursor of ${cursor.length} bytes that cannot be read`)
        at = window.offset + parser.end
        yield { kind: 'commit', cursor, lineage: undefined, end: at }
      } else {
        if (native.full) yield* native.drain(at)
        native.add(window.bytes, parser)
        at = window.offset + parser.end
      }
    }
  }
  yield* native.drain(at)
  return { verdict: 'intact', at }
}

/** Collects records in the native layout, so that they are handed on many at a time. */
class NativeStretch {
  #bytes: Uint8Array = new Uint8Array(2 * STRETCH_BYTES)
  #end = 0

  get full(): boolean {
    return this.#end >= STRETCH_BYTES
  }

  add(source: Uint8Array, parsed: Record2Parser): void {
    const needed = this.#end + nativeLength(parsed)
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length))
      larger.set(this.#bytes.subarray(0, this.#end))
      this.#bytes = larger
    }
    this.#end = writeNative(this.#bytes, this.#end, source, parsed)
  }

  *drain(at: number): Generator<ScanStep, void, FileWindow> {
    if (this.#end === 0) return
    yield { kind: 'records', at, bytes: this.#bytes, given: false, from: 0, to: this.#end }
    this.#end = 0
    if (this.#bytes.length > 16 * STRETCH_BYTES) this.#bytes = new Uint8Array(2 * STRETCH_BYTES)
  }
}

/** A zero-filled tail is what some file systems leave of an unfinished write. */
function* judgeZeros(at: number, size: number): Scan {
  for (let from = at; from < size; from += STRETCH_BYTES) {
    const length = Math.min(STRETCH_BYTES, size - from)
    const window = yield { kind: 'read', at: from, length }
    const start = from - window.offset
    for (let i = start; i < start + length; i++)
      if (window.bytes[i] !== 0) return unreadable(at, 'zeros in the middle of the log')
  }
  return { verdict: 'torn', at }
}

function judge(
  parsed: 'torn' | 'corrupted' | 'invalid' | 'needsMore',
  parser: Record2Parser,
  at: number,
): ScanVerdict {
  if (parsed === 'invalid') return unreadable(at, parser.message)
  if (parsed === 'corrupted')
    return { verdict: 'corrupt', at, code: 'Corrupted', message: `the log is damaged at byte ${at}` }
  return { verdict: 'torn', at }
}

function unreadable(at: number, message: string): ScanVerdict {
  return { verdict: 'corrupt', at, code: 'InvalidFormat', message: `${message}, at byte ${at}` }
}

function readable(cursor: Uint8Array): boolean {
  try {
    WatchCursor.fromBytes(cursor)
    return true
  } catch {
    return false
  }
}

import { isUtf8 } from 'node:buffer'
import { crc32 } from './crc32.ts'

export const MAX_VALUE_2_BYTES: number = 64 * 1024 * 1024
export const MAX_KEY_BYTES = 65_535

const MAX_VERSION_BYTES = 10
const MAX_CURSOR_BYTES = 20
const SMALLEST_RECORD_BYTES = 5
/** A record that fails its checksum with fewer bytes than this behind it is an unfinished write. */
const TAIL_BYTES = 6

export const RECORD_2_PUT = 1
export const RECORD_2_DELETE = 2
export const RECORD_2_CURSOR = 3

/**
 * What came of parsing: `needsMore` asks for a longer window; `zeros` saw the beginning of a zero
 * filled tail and leaves the rest of the file to the caller.
 */
export type Parsed2 = 'record' | 'needsMore' | 'torn' | 'corrupted' | 'invalid' | 'zeros'

/** Parses generation-2 records in place: after `record` the fields say where the parts lie. */
export class Record2Parser {
  type = 0
  end = 0
  keyFrom = 0
  keyTo = 0
  valueFrom = 0
  valueTo = 0
  /** Version, or the cursor's bytes. */
  tokenFrom = 0
  tokenTo = 0
  message = ''

  /**
   * Parses the record at `from` in `bytes[from, to)`, with `beyond` bytes of the file after `to`. The
   * answer is the same for every window that is long enough.
   */
  parse(bytes: Uint8Array, from: number, to: number, beyond: number): Parsed2 {
    const short: Parsed2 = beyond > 0 ? 'needsMore' : 'torn'
    if (from + SMALLEST_RECORD_BYTES > to) return short
    this.type = bytes[from + 4]!
    let at = from + 5
    if (this.type === RECORD_2_PUT || this.type === RECORD_2_DELETE) {
      if (at + 2 > to) return short
      this.keyFrom = at + 2
      this.keyTo = this.keyFrom + (bytes[at]! | (bytes[at + 1]! << 8))
      at = this.keyTo
      if (this.type === RECORD_2_PUT) {
        if (at + 4 > to) return short
        const length = readU32(bytes, at)
        this.valueFrom = at + 4
        if (length > MAX_VALUE_2_BYTES) return this.#failed(this.valueFrom, to, beyond)
        this.valueTo = this.valueFrom + length
        at = this.valueTo
      }
      if (at + 1 > to) return short
      const versionBytes = bytes[at]!
      if (versionBytes > MAX_VERSION_BYTES) return this.#invalid(`a version of ${versionBytes} bytes`)
      this.tokenFrom = at + 1
      this.tokenTo = this.tokenFrom + versionBytes
    } else if (this.type === RECORD_2_CURSOR) {
      if (at + 1 > to) return short
      const cursorBytes = bytes[at]!
      if (cursorBytes > MAX_CURSOR_BYTES) return this.#invalid(`a cursor of ${cursorBytes} bytes`)
      this.tokenFrom = at + 1
      this.tokenTo = this.tokenFrom + cursorBytes
    } else if (this.type === 0 && readU32(bytes, from) === 0) {
      return 'zeros'
    } else {
      return this.#invalid(`a record of unknown type ${this.type}`)
    }
    this.end = this.tokenTo
    if (this.end > to) return short
    if (crc32(bytes, from + 4, this.end) !== readU32(bytes, from)) return this.#failed(this.end, to, beyond)
    if (this.type !== RECORD_2_CURSOR && !isUtf8(bytes.subarray(this.keyFrom, this.keyTo)))
      return this.#invalid('a key that is not UTF-8')
    return 'record'
  }

  #failed(end: number, to: number, beyond: number): Parsed2 {
    return to - end + beyond < TAIL_BYTES ? 'torn' : 'corrupted'
  }

  #invalid(message: string): Parsed2 {
    this.message = message
    return 'invalid'
  }
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

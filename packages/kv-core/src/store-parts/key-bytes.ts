import { isUtf8 as nodeIsUtf8 } from 'node:buffer'

const encoder = new TextEncoder()

/** How many UTF-16 units of `text` come before the first that is not ASCII. */
export function asciiPrefix(text: string): number {
  let at = 0
  while (at < text.length && text.charCodeAt(at) < 0x80) at++
  return at
}

/** Length of `text` in UTF-8; `TypeError` for a lone surrogate, which has no UTF-8 form. */
export function utf8Length(text: string): number {
  let length = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) length += 1
    else if (unit < 0x800) length += 2
    else if (unit < 0xd800 || unit > 0xdfff) length += 3
    else {
      const next = text.charCodeAt(i + 1)
      if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff))
        throw new TypeError('a key with a lone surrogate has no UTF-8 form')
      length += 4
      i++
    }
  }
  return length
}

/** Writes well-formed `text` as UTF-8; returns the number of bytes. */
export function writeUtf8(text: string, target: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) return encoder.encodeInto(text, target.subarray(at)).written
    target[at + i] = unit
  }
  return text.length
}

/** A fresh array with `text` in UTF-8; `TypeError` for a lone surrogate. */
export function utf8Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(utf8Length(text))
  writeUtf8(text, bytes, 0)
  return bytes
}

/** Whether `bytes[from, to)` is UTF-8. */
export function isUtf8(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at]! >= 0x80) return nodeIsUtf8(bytes.subarray(from, to))
  return true
}

/** Compares two byte ranges as unsigned bytes, a shorter one first where it is a prefix. */
export function compareBytes(
  a: Uint8Array,
  aFrom: number,
  aTo: number,
  b: Uint8Array,
  bFrom: number,
  bTo: number,
): number {
  const aLength = aTo - aFrom
  const bLength = bTo - bFrom
  const shared = aLength < bLength ? aLength : bLength
  for (let i = 0; i < shared; i++) {
    const difference = a[aFrom + i]! - b[bFrom + i]!
    if (difference !== 0) return difference
  }
  return aLength - bLength
}

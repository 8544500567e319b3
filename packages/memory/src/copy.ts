/**
 * A private copy. Small ones share Node's pool, whose memory cannot be transferred away: a million
 * array buffers of their own would make each garbage collection take hundreds of milliseconds.
 */
export function copyOf(bytes: Uint8Array): Uint8Array {
  const pooled = Buffer.allocUnsafe(bytes.length)
  pooled.set(bytes)
  return new Uint8Array(pooled.buffer, pooled.byteOffset, pooled.length)
}

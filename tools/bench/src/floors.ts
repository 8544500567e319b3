import { closeSync, fdatasyncSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { keyOf, valueOf } from './workload.ts'

const CHUNK = 1 << 20

/** Floor of a load: every byte read and checksummed once, with the runtime's own CRC-32. Milliseconds. */
export function readAndChecksum(path: string): number {
  const from = performance.now()
  const chunk = Buffer.allocUnsafe(CHUNK)
  const file = openSync(path, 'r')
  let sum = 0
  for (let n = readSync(file, chunk); n > 0; n = readSync(file, chunk)) sum = crc32(chunk.subarray(0, n), sum)
  closeSync(file)
  return performance.now() - from
}

/** Floor of apply: keys and values laid out in one reused buffer and written with one call a batch. Milliseconds. */
export function encodeAndWrite(path: string, count: number, batchSize = 1_024): number {
  const buffer = Buffer.allocUnsafe(batchSize * 512)
  const file = openSync(path, 'w')
  const from = performance.now()
  let position = 0
  for (let first = 0; first < count; first += batchSize) {
    let at = 0
    for (let i = first; i < Math.min(count, first + batchSize); i++) {
      const key = keyOf(i)
      at = buffer.writeUInt16LE(key.length, at)
      at += buffer.write(key, at, 'latin1')
      const value = valueOf(i)
      at = buffer.writeUInt32LE(value.length, at)
      buffer.set(value, at)
      at += value.length
      at = buffer.writeDoubleBE(i, at)
    }
    position += writeSync(file, buffer, 0, at, position)
  }
  const ms = performance.now() - from
  closeSync(file)
  return ms
}

/** Floor of a compaction: the same bytes copied to a new file in large pieces and synced. Milliseconds. */
export function copyFile(source: string, target: string): number {
  const from = performance.now()
  const chunk = Buffer.allocUnsafe(CHUNK)
  const input = openSync(source, 'r')
  const output = openSync(target, 'w')
  for (let n = readSync(input, chunk); n > 0; n = readSync(input, chunk)) writeSync(output, chunk, 0, n)
  fsyncSync(output)
  closeSync(output)
  closeSync(input)
  return performance.now() - from
}

/** One positional write and fdatasync of a batch's bytes. Milliseconds a batch. */
export function syncedWrite(path: string, bytes: number, times: number): number {
  const buffer = Buffer.alloc(bytes, 7)
  const file = openSync(path, 'w')
  const from = performance.now()
  for (let i = 0; i < times; i++) {
    writeSync(file, buffer, 0, bytes, i * bytes)
    fdatasyncSync(file)
  }
  const ms = (performance.now() - from) / times
  closeSync(file)
  return ms
}

import { closeSync, fdatasyncSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { keyOf, valueOf } from './workload.ts'

const CHUNK = 1 << 20

export type Checksum = (sum: number, bytes: Uint8Array, length: number) => number

/** The runtime's own CRC-32, in vector instructions: another polynomial than the log's. */
export const runtimeCrc32: Checksum = (sum, bytes, length) => crc32(bytes.subarray(0, length), sum)

/** CRC-32C as the format demands it, eight bytes a step, in plain JavaScript. */
export const plainCrc32c: Checksum = slicingBy8(0x82f6_3b78)

/** Floor of a load: every byte read and checksummed once. Milliseconds. */
export function readAndChecksum(path: string, checksum: Checksum): number {
  const from = performance.now()
  const chunk = Buffer.allocUnsafe(CHUNK)
  const file = openSync(path, 'r')
  let sum = 0
  for (let n = readSync(file, chunk); n > 0; n = readSync(file, chunk)) sum = checksum(sum, chunk, n)
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

function slicingBy8(polynomial: number): Checksum {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256))
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    tables[0]![byte] = crc
  }
  for (let slice = 1; slice < 8; slice++)
    for (let byte = 0; byte < 256; byte++) {
      const previous = tables[slice - 1]![byte]!
      tables[slice]![byte] = tables[0]![previous & 255]! ^ (previous >>> 8)
    }
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
  ]
  const stretch = (seed: number, bytes: Uint8Array, from: number, to: number): number => {
    let crc = seed
    let at = from
    for (; at + 8 <= to; at += 8) {
      const low = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
      crc =
        t7[low & 255]! ^
        t6[(low >>> 8) & 255]! ^
        t5[(low >>> 16) & 255]! ^
        t4[low >>> 24]! ^
        t3[bytes[at + 4]!]! ^
        t2[bytes[at + 5]!]! ^
        t1[bytes[at + 6]!]! ^
        t0[bytes[at + 7]!]!
    }
    for (; at < to; at++) crc = t0[(crc ^ bytes[at]!) & 255]! ^ (crc >>> 8)
    return crc
  }
  return (sum, bytes, length) => {
    let crc = ~sum
    for (let from = 0; from < length; from += 8_192)
      crc = stretch(crc, bytes, from, Math.min(length, from + 8_192))
    return ~crc >>> 0
  }
}

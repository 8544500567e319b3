import { crc32 as zlibCrc32 } from 'node:zlib'
import { slicedCrc, type RunningCrc } from '@slip/kv-core/store-parts'

const IEEE = 0xedb8_8320
/** Below this a call into zlib costs more than it saves. */
const ZLIB_FROM_BYTES = 192

const short: RunningCrc = slicedCrc(IEEE)

/** CRC-32/ISO-HDLC over `bytes[from, to)`. The value of "123456789" is cbf43926. */
export function crc32(bytes: Uint8Array, from: number, to: number): number {
  return to - from < ZLIB_FROM_BYTES ? short(0, bytes, from, to) : zlibCrc32(bytes.subarray(from, to))
}

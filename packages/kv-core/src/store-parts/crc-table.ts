/** How many bytes one step of the sliced checksum takes. */
const SLICES = 16
/**
 * Many short calls, because V8 compiles a function that is called often better than a loop it finds
 * itself in: measured 150 against 280 ms for 259 MB.
 */
const WORDS_A_CALL = 2048
const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

/** Continues a reflected CRC-32 over `bytes[from, to)`; `crc` is the value so far, 0 at the start. */
export type RunningCrc = (crc: number, bytes: Uint8Array, from: number, to: number) => number

/**
 * A reflected 32-bit CRC in plain TypeScript, sixteen bytes a step (Intel's "slicing-by-N", Kounavis
 * and Berry 2005). Values are unsigned.
 */
export function slicedCrc(reflectedPolynomial: number): RunningCrc {
  const tables = buildTables(reflectedPolynomial)
  const row = (slice: number): Int32Array => tables.subarray(slice * 256, slice * 256 + 256)
  const t0 = row(0)
  const t1 = row(1)
  const t2 = row(2)
  const t3 = row(3)
  const t4 = row(4)
  const t5 = row(5)
  const t6 = row(6)
  const t7 = row(7)
  const t8 = row(8)
  const t9 = row(9)
  const t10 = row(10)
  const t11 = row(11)
  const t12 = row(12)
  const t13 = row(13)
  const t14 = row(14)
  const t15 = row(15)

  const short = (crc: number, bytes: Uint8Array, from: number, to: number): number => {
    for (let at = from; at < to; at++) crc = t0[(crc ^ bytes[at]!) & 255]! ^ (crc >>> 8)
    return crc
  }

  const steps = (crc: number, words: Int32Array, from: number, to: number): number => {
    for (let word = from; word < to; word += 4) {
      const a = words[word]! ^ crc
      const b = words[word + 1]!
      const c = words[word + 2]!
      const d = words[word + 3]!
      crc =
        t15[a & 255]! ^
        t14[(a >>> 8) & 255]! ^
        t13[(a >>> 16) & 255]! ^
        t12[a >>> 24]! ^
        t11[b & 255]! ^
        t10[(b >>> 8) & 255]! ^
        t9[(b >>> 16) & 255]! ^
        t8[b >>> 24]! ^
        t7[c & 255]! ^
        t6[(c >>> 8) & 255]! ^
        t5[(c >>> 16) & 255]! ^
        t4[c >>> 24]! ^
        t3[d & 255]! ^
        t2[(d >>> 8) & 255]! ^
        t1[(d >>> 16) & 255]! ^
        t0[d >>> 24]!
    }
    return crc
  }

  return (seed, bytes, from, to) => {
    let crc = ~seed
    let at = from
    if (LITTLE_ENDIAN && to - from >= 32) {
      const aligned = from + ((4 - ((bytes.byteOffset + from) & 3)) & 3)
      crc = short(crc, bytes, from, aligned)
      const words = new Int32Array(bytes.buffer, bytes.byteOffset + aligned, (to - aligned) >> 2)
      const end = words.length & ~3
      for (let word = 0; word < end; word += WORDS_A_CALL)
        crc = steps(crc, words, word, Math.min(end, word + WORDS_A_CALL))
      at = aligned + end * 4
    }
    return ~short(crc, bytes, at, to) >>> 0
  }
}

function buildTables(polynomial: number): Int32Array {
  const tables = new Int32Array(SLICES * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    tables[byte] = crc
  }
  for (let at = 256; at < tables.length; at++) {
    const previous = tables[at - 256]!
    tables[at] = tables[previous & 255]! ^ (previous >>> 8)
  }
  return tables
}

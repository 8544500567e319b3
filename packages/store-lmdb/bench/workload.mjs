// Generated entries: names of about 40 bytes of which 1,000 share a prefix, values of 200 bytes.
export const KEYS_A_PREFIX = 1_000
export const VALUE_BYTES = 200

export function keyOf(number) {
  const service = String(Math.floor(number / KEYS_A_PREFIX)).padStart(6, '0')
  return `route.region-1.svc-${service}.id-${String(number).padStart(10, '0')}`
}

export function valueOf(number) {
  const at = Math.imul(number, 2_654_435_761) & 0x7fff
  return pool.subarray(at, at + VALUE_BYTES)
}

/** Each number below `count` once, in an order without order: a Feistel network over the next power of four. */
export function permutation(count) {
  let half = 1
  while (4 ** half < count) half++
  const mask = 2 ** half - 1
  const once = (number) => {
    let left = Math.floor(number / 2 ** half)
    let right = number & mask
    for (let round = 1; round <= 4; round++) {
      let mixed = Math.imul(right + round * 0x9e37, 0x85eb_ca6b)
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35)
      const next = left ^ ((mixed ^ (mixed >>> 16)) & mask)
      left = right
      right = next
    }
    return left * 2 ** half + right
  }
  return (number) => {
    do number = once(number)
    while (number >= count)
    return number
  }
}

function randomBytesOf(length) {
  const random = seeded(3)
  return Buffer.from(Array.from({ length }, () => random(256)))
}

export function seeded(seed) {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Bytes without order, to take values from. */
export const pool = randomBytesOf(2 ** 16)

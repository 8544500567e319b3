const PAGE_BYTES = 4096

/** One way to damage a file; says what it did. `other` is the file of another fold. */
export type Damage = (
  bytes: Buffer,
  random: (below: number) => number,
  other: Buffer,
) => { bytes: Buffer; what: string }

const pageOf = (bytes: Buffer, random: (below: number) => number): number =>
  random(Math.floor(bytes.length / PAGE_BYTES))

function overwritten(bytes: Buffer, at: number, length: number, byte: () => number): Buffer {
  const damaged = Buffer.from(bytes)
  for (let i = at; i < Math.min(at + length, damaged.length); i++) damaged[i] = byte()
  return damaged
}

/** What a disk, a copy that was cut short, or somebody else does to a file. */
export const DAMAGES: readonly Damage[] = [
  (bytes, random) => {
    const length = random(bytes.length)
    return { bytes: Buffer.from(bytes.subarray(0, length)), what: `cut to ${length} bytes` }
  },
  (bytes, random) => {
    const pages = pageOf(bytes, random)
    return { bytes: Buffer.from(bytes.subarray(0, pages * PAGE_BYTES)), what: `cut to ${pages} pages` }
  },
  (bytes, random) => {
    const at = random(bytes.length)
    const damaged = Buffer.from(bytes)
    damaged[at]! ^= 1 << random(8)
    return { bytes: damaged, what: `a bit of byte ${at} flipped` }
  },
  (bytes, random) => {
    const at = random(bytes.length)
    return { bytes: overwritten(bytes, at, 16, () => random(256)), what: `16 random bytes at ${at}` }
  },
  (bytes, random) => {
    const page = pageOf(bytes, random)
    return {
      bytes: overwritten(bytes, page * PAGE_BYTES, PAGE_BYTES, () => random(256)),
      what: `page ${page} random`,
    }
  },
  (bytes, random) => {
    const page = pageOf(bytes, random)
    return { bytes: overwritten(bytes, page * PAGE_BYTES, PAGE_BYTES, () => 0), what: `page ${page} zeroed` }
  },
  (bytes, random) => {
    const [a, b] = [pageOf(bytes, random), pageOf(bytes, random)]
    const damaged = Buffer.from(bytes)
    bytes.copy(damaged, a * PAGE_BYTES, b * PAGE_BYTES, (b + 1) * PAGE_BYTES)
    bytes.copy(damaged, b * PAGE_BYTES, a * PAGE_BYTES, (a + 1) * PAGE_BYTES)
    return { bytes: damaged, what: `pages ${a} and ${b} swapped` }
  },
  (bytes, random) => {
    const at = random(2) * PAGE_BYTES + random(200)
    return { bytes: overwritten(bytes, at, 1 + random(8), () => random(256)), what: `meta bytes at ${at}` }
  },
  (bytes, random) => {
    const at = pageOf(bytes, random) * PAGE_BYTES + random(24)
    return { bytes: overwritten(bytes, at, 2, () => random(256)), what: `page header bytes at ${at}` }
  },
  (_bytes, random) => {
    const length = 1 + random(65_536)
    const garbage = overwritten(Buffer.alloc(length), 0, length, () => random(256))
    return { bytes: garbage, what: `${length} bytes of somebody else` }
  },
  (bytes, random) => {
    const more = Buffer.concat([bytes, Buffer.alloc(random(20_000))])
    return { bytes: more, what: `${more.length - bytes.length} zeros behind the end` }
  },
  (bytes, random, other) => {
    const page = 2 + random(Math.floor(Math.min(bytes.length, other.length) / PAGE_BYTES) - 2)
    const damaged = Buffer.from(bytes)
    other.copy(damaged, page * PAGE_BYTES, page * PAGE_BYTES, (page + 1) * PAGE_BYTES)
    return { bytes: damaged, what: `page ${page} of another fold` }
  },
]

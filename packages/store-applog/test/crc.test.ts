import { createRequire } from 'node:module'
import { crc32 as zlibCrc32 } from 'node:zlib'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { slicedCrc } from '@slip/kv-core/store-parts'
import { crc32 } from '../src/crc32.ts'
import { crc32c, loadNativeCrc32c } from '../src/crc32c.ts'

const native = createRequire(import.meta.url)('fast-crc32c') as {
  calculate(data: Uint8Array, initial?: number): number
}
const portable = slicedCrc(0x82f6_3b78)
const check = new TextEncoder().encode('123456789')

test('the check values of both polynomials', () => {
  expect(portable(0, check, 0, 9).toString(16)).toBe('e3069283')
  expect(crc32(check, 0, 9).toString(16)).toBe('cbf43926')
})

const bytesAndCut = fc
  .tuple(fc.uint8Array({ maxLength: 3_000 }), fc.nat(), fc.nat(), fc.nat())
  .map(([bytes, a, b, c]) => {
    const [from, middle, to] = [a, b, c].map((n) => n % (bytes.length + 1)).sort((x, y) => x - y)
    return { bytes, from: from!, middle: middle!, to: to! }
  })

test('plain TypeScript and fast-crc32c give the same CRC-32C for any bytes, cut anywhere', async () => {
  await loadNativeCrc32c()
  fc.assert(
    fc.property(bytesAndCut, ({ bytes, from, middle, to }) => {
      const expected = native.calculate(Buffer.from(bytes.subarray(from, to)))
      expect(portable(0, bytes, from, to)).toBe(expected)
      expect(portable(portable(0, bytes, from, middle), bytes, middle, to)).toBe(expected)
      expect(crc32c(crc32c(0, bytes, from, middle), bytes, middle, to)).toBe(expected)
    }),
  )
})

test('the IEEE checksum is the one of zlib, short and long', () => {
  fc.assert(
    fc.property(bytesAndCut, ({ bytes, from, to }) => {
      expect(crc32(bytes, from, to)).toBe(zlibCrc32(bytes.subarray(from, to)))
    }),
  )
})

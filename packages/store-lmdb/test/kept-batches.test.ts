import { expect, test } from 'vitest'
import { KeptBatches } from '../src/kept-batches.ts'

const MB = 1024 * 1024

test('what was kept stays as it was until it is cleared, whatever its size', () => {
  const batches = new KeptBatches()
  const sizes = [0, 1, 3 * MB, MB - 1, 1, 4 * MB, 4 * MB + 1, 9 * MB, 2 * MB, 2 * MB, 1]
  for (let round = 1; round <= 2; round++) {
    const numbers = sizes.map((size, i) => {
      const batch = new Uint8Array(size).fill(16 * round + i)
      const number = batches.add(batch)
      batch.fill(0)
      return number
    })
    for (const [i, size] of sizes.entries()) {
      const kept = batches.at(numbers[i]!)
      expect([kept.length, kept.every((byte) => byte === 16 * round + i)]).toEqual([size, true])
    }
    batches.clear()
  }
})

import { VersionToken } from '@slip/kv-core'

export const BATCH = 500

/** A number below `count` for each number below it, in no order. */
export function scattered(number, count) {
  // Coprime to any count the tests use.
  return Number((BigInt(number) * 2_654_435_761n + 12_345n) % BigInt(count))
}

/** Batch `i` of a history over `count` keys: new keys in no order, some of them written again or deleted later. */
export function batchAt(i, count) {
  const version = VersionToken.fromRevision(BigInt(i))
  const put = (number, value) => ({
    operation: 'put',
    key: keyOf(number, count),
    value: Buffer.from(value),
    version,
  })
  const first = (i - 1) * BATCH
  const batch = Array.from({ length: BATCH }, (_, j) =>
    put(first + j, `${i}:${first + j}`.padEnd(20 + ((first + j) % 40), '.')),
  )
  if (i % 7 === 3)
    for (let j = 0; j < 20; j++)
      batch.push({ operation: 'delete', key: keyOf(first - 2 * BATCH + j, count), version })
  if (i % 5 === 4) for (let j = 10; j < 40; j++) batch.push(put(first - 3 * BATCH + j, `again ${i}`))
  return batch
}

function keyOf(number, count) {
  return `route.svc-${String(scattered(number, count)).padStart(8, '0')}`
}

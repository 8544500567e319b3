import type { MatrixBucket } from './matrix-bucket.ts'

const GROUPS = ['route', 'cert', 'node'] as const
const SEEDS_A_GROUP = 8
/** So many writes of one `advance` lie in every scope. */
const ADVANCES_A_GROUP = 6

/** A key that is there to be removed when a follower has to be sent into a repair. */
export const DECOY = 'route.decoy'

/** What every bucket of the matrix begins with. Gives the last revision. */
export async function seed(bucket: MatrixBucket): Promise<bigint> {
  await bucket.put(DECOY, 'decoy')
  let last = 0n
  for (let i = 0; i < SEEDS_A_GROUP; i++)
    for (const group of GROUPS) last = await bucket.put(`${group}.${i}`, `seed ${i}`)
  return last
}

/** An older revision below the newest of `route.5`. */
export async function overwriteHistory(bucket: MatrixBucket): Promise<void> {
  await bucket.put('route.5', 'second')
  await bucket.put('route.5', 'third')
}

/** Writes that go on while nothing is wrong: new keys, overwritten ones, a delete. Gives the last revision. */
export async function advance(bucket: MatrixBucket, name: string): Promise<bigint> {
  for (let i = 0; i < ADVANCES_A_GROUP; i++)
    for (const group of GROUPS) await bucket.put(`${group}.${name}-${i}`, `${name} ${i}`)
  await bucket.delete('cert.2')
  await bucket.put('route.0', `${name} over`)
  return await bucket.put('route.1', `${name} over`)
}

/**
 * Another history in the place of `advance`: the same keys and as many revisions, in another order and
 * with other values, so that no count and no last revision tells the two apart.
 */
export async function advanceOtherwise(bucket: MatrixBucket, name: string): Promise<void> {
  await bucket.put('route.1', `${name} otherwise`)
  await bucket.put('route.0', `${name} otherwise`)
  await bucket.delete('cert.2')
  for (let i = ADVANCES_A_GROUP - 1; i >= 0; i--)
    for (const group of GROUPS) await bucket.put(`${group}.${name}-${i}`, `${name} otherwise ${i}`)
}

/** What is written when the fault is over, as if nothing had happened. */
export async function writeOn(bucket: MatrixBucket): Promise<void> {
  for (const group of GROUPS) {
    await bucket.put(`${group}.after`, 'after')
    await bucket.put(`${group}.6`, 'after')
  }
  await bucket.delete('route.7')
}

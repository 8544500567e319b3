import { VersionToken, type KvPutUpdate } from '@slip/kv-core'

const REGIONS = ['eu-west', 'eu-north', 'us-east', 'us-west', 'ap-south', 'ap-east', 'sa-east', 'af-south']
const KEYS_PER_SERVICE = 1_000
const VALUE_BYTES = 200

/** `route.<region>.<service>.<id>`, about 45 bytes; a thousand keys share a service. */
export function keyOf(i: number): string {
  return `${servicePrefix(Math.floor(i / KEYS_PER_SERVICE))}${String(i).padStart(14, '0')}`
}

/** The prefix that exactly the thousand keys of one service share. */
export function servicePrefix(service: number): string {
  return `route.${REGIONS[service % REGIONS.length]}.service-${String(service).padStart(6, '0')}.`
}

// One block of pseudo-random bytes, read at moving offsets: values differ and cost nothing to make.
const block = new Uint8Array(1 << 16)
for (let i = 0, x = 0x9e3779b9; i < block.length; i++) {
  x ^= x << 13
  x ^= x >>> 17
  x ^= x << 5
  block[i] = x
}

export function valueOf(i: number): Uint8Array {
  const at = Math.imul(i, 0x9e3779b1) & 0x7fff
  return block.subarray(at, at + VALUE_BYTES)
}

export function putOf(i: number): KvPutUpdate {
  return {
    operation: 'put',
    key: keyOf(i),
    value: valueOf(i),
    version: VersionToken.fromRevision(BigInt(i + 1)),
  }
}

/** `count` updates in batches of `size`. */
export function* batches(count: number, size = 1_024): Generator<KvPutUpdate[]> {
  for (let from = 0; from < count; from += size) {
    const batch: KvPutUpdate[] = []
    for (let i = from; i < Math.min(count, from + size); i++) batch.push(putOf(i))
    yield batch
  }
}

/** A permutation-like walk over 0..count-1 that visits keys in no useful order. */
export function scattered(i: number, count: number): number {
  return Number((BigInt(i) * 2_654_435_761n + 12_345n) % BigInt(count))
}

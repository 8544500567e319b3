import { jetstream } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'

export interface ListedValue {
  readonly value: string
  readonly revision: number
}

/** Everything alive in a bucket, read with `@nats-io/kv` alone: the independent answer to compare with. */
export async function listBucket(url: string, bucket: string): Promise<Map<string, ListedValue>> {
  const connection = await connect({ servers: url })
  try {
    const kv = await new Kvm(jetstream(connection)).open(bucket)
    const listed = new Map<string, ListedValue>()
    const keys: string[] = []
    for await (const key of await kv.keys()) keys.push(key)
    for (let at = 0; at < keys.length; at += 256) {
      const entries = await Promise.all(keys.slice(at, at + 256).map(async (key) => await kv.get(key)))
      for (const entry of entries) {
        if (entry === null || entry.operation !== 'PUT') continue
        listed.set(entry.key, {
          value: Buffer.from(entry.value).toString('base64'),
          revision: entry.revision,
        })
      }
    }
    return listed
  } finally {
    await connection.close()
  }
}

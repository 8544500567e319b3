import { randomBytes } from 'node:crypto'
import { KvError, type Connection, type KvReader, type KvWatcher, type KvWriter } from '@slip/kv-core'
import { MemoryConnection } from '@slip/memory'
import type { NatsConnectionConfig } from '@slip/nats'
import { connect } from '../bucket/with-bucket.ts'
import type { BucketPlace } from './messages.ts'

/** The bucket of one demo run, and the way to remove it again. */
export interface DemoBucket {
  readonly name: string
  readonly place: BucketPlace
  readonly watcher: KvWatcher
  readonly reader: KvReader
  readonly writer: KvWriter
  remove(): Promise<void>
}

/** On the server that was named, under a name nobody uses; without one in this process. */
export async function openDemoBucket(config: NatsConnectionConfig | undefined): Promise<DemoBucket> {
  const name = `slip-demo-${randomBytes(4).toString('hex')}`
  if (config === undefined) return await open(name, { kind: 'embedded' }, new MemoryConnection())
  return await open(name, { kind: 'nats', config }, await connect(config))
}

async function open(
  name: string,
  place: BucketPlace,
  connection: Connection & { deleteBucket(name: string): Promise<void> },
): Promise<DemoBucket> {
  try {
    const { watcher, reader, writer } = await connection.store(name, { history: 1 })
    if (watcher === undefined || writer === undefined)
      throw new KvError('Unsupported', `bucket ${name} cannot be watched and written`)
    const remove = async (): Promise<void> => {
      try {
        await connection.deleteBucket(name)
      } finally {
        await connection.close()
      }
    }
    return { name, place, watcher, reader, writer, remove }
  } catch (error) {
    await connection.close()
    throw error
  }
}

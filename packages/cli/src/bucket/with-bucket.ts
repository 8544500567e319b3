import { KvError, type KvStore, type KvWriter, type SourceDescription } from '@slip/kv-core'
import type { NatsConnection, NatsConnectionConfig } from '@slip/nats'
import type { ParsedOptions } from '../command/command.ts'
import { withHint } from '../output/exit-code.ts'
import { connectionConfig } from './connection-options.ts'
import { asUsage } from './usable-config.ts'

/** Connects; UsageError when the credentials cannot be read. */
export async function connect(config: NatsConnectionConfig): Promise<NatsConnection> {
  // The client takes longer to load than reading a small fold takes: only those who connect wait for it.
  const { NatsConnection } = await import('@slip/nats')
  try {
    return await NatsConnection.connect(config)
  } catch (error) {
    throw asUsage(error)
  }
}

/** Connects, runs `use`, and closes whatever happened. */
export async function withConnection<R>(
  options: ParsedOptions,
  use: (connection: NatsConnection) => Promise<R>,
): Promise<R> {
  const connection = await connect(await connectionConfig(options))
  try {
    return await use(connection)
  } finally {
    await connection.close()
  }
}

/** The same with an existing bucket; KvError `BucketNotFound` says how to create it. */
export async function withBucket<R>(
  options: ParsedOptions,
  name: string,
  use: (bucket: KvStore, connection: NatsConnection) => Promise<R>,
): Promise<R> {
  return await withConnection(options, async (connection) => {
    try {
      return await use(await connection.store(name), connection)
    } catch (error) {
      throw namingTheRemedy(error, name)
    }
  })
}

/** What the server says of a bucket, asked on a connection of its own. */
export async function describedBucket(options: ParsedOptions, name: string): Promise<SourceDescription> {
  return await withConnection(options, async (connection) => {
    const { watcher } = await connection.store(name)
    return await watcher.describe('all')
  })
}

/** A missing bucket's error names the command that creates it. */
export function namingTheRemedy(error: unknown, bucket: string): unknown {
  if (KvError.is(error) && error.code === 'BucketNotFound')
    withHint(error, `Create it with: slip bucket create ${bucket}`)
  return error
}

export function writerOf(bucket: KvStore): KvWriter {
  if (bucket.writer === undefined) throw new KvError('Unsupported', `bucket ${bucket.name} cannot be written`)
  return bucket.writer
}

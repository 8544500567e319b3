import type { ObjectStore } from '@slip/kv-core'
import { connectionConfig } from '../bucket/connection-options.ts'
import { asUsage } from '../bucket/usable-config.ts'
import type { ParsedOptions } from '../command/command.ts'
import { UsageError } from '../output/usage-error.ts'

/** Credentials, region and endpoint are those of the usual variables. */
const S3_PLACE = /^\/\/([a-z0-9.-]{3,63})(?:\/(.*?))?\/?$/

interface ObjectUrl {
  readonly scheme: 'file' | 'nats' | 's3'
  readonly rest: string
}

/** UsageError for a URL that is none. */
export function mustBeObjectUrl(url: string, command: string): ObjectUrl {
  const [, scheme, rest = ''] = /^(file|nats|s3):(.+)$/.exec(url) ?? []
  if (scheme !== 'file' && scheme !== 'nats' && scheme !== 's3')
    throw new UsageError(
      `${url} is no URL of artifacts: use file:DIR, nats:OBJECT_BUCKET or s3://BUCKET/PREFIX`,
      command,
    )
  if (scheme === 's3' && !S3_PLACE.test(rest))
    throw new UsageError(`${url} is no place in S3: use s3://BUCKET/PREFIX`, command)
  if (scheme === 'nats' && !/^[\w-]+$/.test(rest))
    throw new UsageError(`${rest} is no name of an object bucket`, command)
  return { scheme, rest }
}

/**
 * What artifacts are published to and fetched from, by its URL; to be closed. UsageError for a URL that is none,
 * KvError where a server is needed and is not to be had.
 */
export async function objectsAt(url: string, options: ParsedOptions, command: string): Promise<ObjectStore> {
  const { scheme, rest } = mustBeObjectUrl(url, command)
  if (scheme === 'nats') return await natsObjectsAt(rest, options)
  const { directoryObjects, s3Objects } = await import('@slip/export')
  if (scheme === 'file') return directoryObjects(rest)
  const [, bucket = '', prefix = ''] = S3_PLACE.exec(rest)!
  return s3Objects({ bucket, ...(prefix === '' ? {} : { prefix }) })
}

async function natsObjectsAt(bucket: string, options: ParsedOptions): Promise<ObjectStore> {
  const config = await connectionConfig(options)
  const [{ natsObjects }, { natsConnect }] = await Promise.all([import('@slip/export'), import('@slip/nats')])
  let connection: Awaited<ReturnType<typeof natsConnect>>
  try {
    connection = await natsConnect(config)
  } catch (error) {
    throw asUsage(error)
  }
  const objects = natsObjects(connection, bucket)
  return {
    capabilities: objects.capabilities,
    get: objects.get.bind(objects),
    put: objects.put.bind(objects),
    list: objects.list.bind(objects),
    delete: objects.delete.bind(objects),
    close: async () => {
      await objects.close?.()
      await connection.close()
    },
  }
}

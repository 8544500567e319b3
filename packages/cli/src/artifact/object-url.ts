import type { ObjectStore } from '@slip/kv-core'
import { connectionConfig } from '../bucket/connection-options.ts'
import { asUsage } from '../bucket/usable-config.ts'
import type { ParsedOptions } from '../command/command.ts'
import { UsageError } from '../output/usage-error.ts'

interface ObjectUrl {
  readonly scheme: 'file' | 'nats'
  readonly rest: string
}

/** UsageError for a URL that is none. */
export function mustBeObjectUrl(url: string, command: string): ObjectUrl {
  const [, scheme, rest = ''] = /^(file|nats|s3):(.+)$/.exec(url) ?? []
  if (scheme === 's3') throw new UsageError('s3: is not in this version of slip', command)
  if (scheme !== 'file' && scheme !== 'nats')
    throw new UsageError(`${url} is no URL of artifacts: use file:DIR or nats:OBJECT_BUCKET`, command)
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
  const { directoryObjects } = await import('@slip/export')
  return directoryObjects(rest)
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

import type { ObjectStore } from '@slip/kv-core'
import { UsageError } from '../output/usage-error.ts'

/** What an artifact is published to and fetched from, by its URL. UsageError for one that is none. */
export async function objectsAt(url: string, command: string): Promise<ObjectStore> {
  const { directoryObjects } = await import('@slip/export')
  const directory = /^file:(.+)$/.exec(url)?.[1]
  if (directory !== undefined) return directoryObjects(directory)
  if (/^(?:nats:|s3:)/.test(url))
    throw new UsageError(`${url.split(':')[0]}: is not in this version of slip`, command)
  throw new UsageError(`${url} is no URL of artifacts: use file:DIR`, command)
}

import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { dirname, resolve } from 'node:path'
import { KvError, type Follower, type KvStore } from '@slip/kv-core'
import type { ExportRounds, ExportRoundsOptions, RoundPlace, RoundReport } from '@slip/export'
import type { NatsConnection } from '@slip/nats'
import { EXPORT_OPTIONS, exportSettings } from '../artifact/interchange.ts'
import { mustBeObjectUrl, objectsAt } from '../artifact/object-url.ts'
import { connectionConfig } from '../bucket/connection-options.ts'
import { connect, namingTheRemedy } from '../bucket/with-bucket.ts'
import type { OptionSpecs, ParsedOptions } from '../command/command.ts'
import { durationMs, LONGEST_TIMER } from '../command/units.ts'
import { foldAddress } from '../fold/fold-address.ts'
import { explain } from '../output/exit-code.ts'
import type { Output } from '../output/output.ts'
import { UsageError } from '../output/usage-error.ts'

const DEFAULT_LEASES = 'slip_leases'
const EVERY = { least: '1s', most: LONGEST_TIMER }
/** What is a name of artifacts and a key of NATS KV. */
const KEY = /^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$/

export const PUBLISH_OPTIONS: OptionSpecs = {
  publish: {
    value: 'URL',
    help: 'where copies of the fold are published for other nodes to start from, in rounds that a fleet shares: file:DIR, nats:OBJECT_BUCKET or s3://BUCKET/PREFIX; with --every',
  },
  every: {
    value: 'DURATION',
    help: 'how long a round of --publish is: the fleet makes one copy in each; from 1s',
  },
  name: {
    value: 'NAME',
    help: 'what copies are published as by --publish, and fetched by --from; default the name of the bucket',
  },
  lease: {
    value: 'BUCKET',
    help: `the bucket with the lease of the rounds under the key NAME, made when missing; default ${DEFAULT_LEASES}`,
  },
  ...EXPORT_OPTIONS,
}

/** Under which name artifacts of the bucket are published. */
export function publishedName(options: ParsedOptions, bucket: string): string {
  return options.text('name') ?? bucket
}

/** Starts the rounds of a follower. */
export type Publishing = (follower: Follower, output: Output) => ExportRounds

/** undefined without --publish; UsageError for what cannot be. */
export async function publishing(options: ParsedOptions, bucket: string): Promise<Publishing | undefined> {
  const url = options.text('publish')
  if (url === undefined) {
    const idle = ['every', 'lease', ...Object.keys(EXPORT_OPTIONS)].find(
      (name) => options.text(name) !== undefined,
    )
    if (idle !== undefined) throw new UsageError(`--${idle} goes with --publish`, 'follow')
    return undefined
  }
  mustBeObjectUrl(url, 'follow')
  const every = options.text('every')
  if (every === undefined) throw new UsageError('--publish needs --every DURATION', 'follow')
  const everyMs = durationMs(every, 'every', EVERY)
  if (options.on('once'))
    throw new UsageError('--publish is for a follower that stays: behind --once use slip publish', 'follow')
  if (options.list('prefix').length > 0 && options.text('name') === undefined)
    throw new UsageError('with --prefix say by --name what this part of the bucket is published as', 'follow')
  const name = publishedName(options, bucket)
  const { ExportRounds, remoteNames } = await import('@slip/export')
  try {
    remoteNames(name)
  } catch (error) {
    throw new UsageError((error as Error).message, 'follow')
  }
  if (!KEY.test(name))
    throw new UsageError(`--name '${name}' is no key for a lease: letters, digits and -/_=. only`, 'follow')
  const settings = await exportSettings(options, 'follow')
  const { path } = foldAddress(options.text('fold') ?? '')
  const rounds: Omit<ExportRoundsOptions, 'onRound'> = {
    ...settings,
    name,
    everyMs,
    lease: { key: name, holderId: `${hostname()}/${process.pid}-${randomBytes(4).toString('hex')}` },
    scratchDirectory: dirname(resolve(path)),
    open: () => openPlace(url, bucket, options),
  }
  return (follower, output) =>
    ExportRounds.start(follower, { ...rounds, onRound: warnOf((message) => output.warn(message), bucket) })
}

/** A connection of its own: that of the follower may be the one that hangs. */
async function openPlace(url: string, bucket: string, options: ParsedOptions): Promise<RoundPlace> {
  const connection = await connect(await connectionConfig(options))
  try {
    const { watcher } = await connection.store(bucket)
    const leases = await leaseBucket(connection, options.text('lease') ?? DEFAULT_LEASES, bucket)
    const to = await objectsAt(url, options, 'follow')
    return {
      bucket: leases,
      to,
      source: () => watcher.describe('all'),
      close: async () => {
        await to.close?.()
        await connection.close()
      },
    }
  } catch (error) {
    await connection.close()
    throw error
  }
}

/** Made when there is none, with as many replicas as the bucket of the fold. */
async function leaseBucket(connection: NatsConnection, name: string, bucket: string): Promise<KvStore> {
  try {
    return await connection.store(name)
  } catch (error) {
    if (!KvError.is(error) || error.code !== 'BucketNotFound') throw error
    const { replicas } = await connection.bucketInfo(bucket)
    return await connection.store(name, { history: 1, replicas })
  }
}

/** Says why nothing is published: once for the same reason, and again behind a round that went well. */
function warnOf(warn: (message: string) => void, bucket: string): (report: RoundReport) => void {
  let said: string | undefined
  return (report) => {
    for (const { step, error } of report.troubles)
      warn(`the copy is published, but not all that follows: ${step}: ${explain(error).message}`)
    if (report.outcome === 'held') return
    if (report.outcome !== 'failed') {
      said = undefined
      return
    }
    const { code, message, hint } = explain(namingTheRemedy(report.error, bucket))
    if (said !== code) warn(`nothing is published, and it is tried again: ${message} (${code}). ${hint}`)
    said = code
  }
}

import { KvError, VersionToken, type KvStore } from '@slip/kv-core'
import { CONNECTION_OPTIONS } from '../bucket/connection-options.ts'
import { VALUE_OPTIONS, valueInput } from '../bucket/value-input.ts'
import { withBucket, writerOf } from '../bucket/with-bucket.ts'
import type { Command, Invocation } from '../command/command.ts'
import { durationMs, optional } from '../command/units.ts'
import { EXIT } from '../output/exit-code.ts'
import { UsageError } from '../output/usage-error.ts'
import { revisionJson } from '../output/wire.ts'

const TTL_OPTION = {
  ttl: {
    value: 'DURATION',
    help: 'the key expires after it, rounded up to seconds (server 2.11, bucket with --marker-ttl)',
  },
}
const ANSWER = 'JSON: {key, revision}.'
const VALUE_DETAILS = `VALUE is UTF-8; without it --base64, --file or stdin. ${ANSWER}`
const USAGE_EXIT = '2  wrong usage, an invalid key, a value above a limit, or a file that cannot be read'
const SOURCE_EXIT = '3  the bucket cannot be written'

export const put: Command = {
  name: 'put',
  words: ['BUCKET', 'KEY', '[VALUE]'],
  summary: 'Writes a key.',
  details: VALUE_DETAILS,
  options: { ...VALUE_OPTIONS, ...TTL_OPTION, ...CONNECTION_OPTIONS },
  exits: [USAGE_EXIT, SOURCE_EXIT],
  example: 'slip put routes route.eu.web 10.0.0.1:8080',
  run: async (invocation) =>
    await writeValue(invocation, async (bucket, key, value, ttlMs) =>
      ttlMs === undefined
        ? await writerOf(bucket).put(key, value)
        : await ttlOf(bucket).put(key, value, ttlMs),
    ),
}

export const create: Command = {
  name: 'create',
  words: ['BUCKET', 'KEY', '[VALUE]'],
  summary: 'Writes a key that must not exist.',
  details: VALUE_DETAILS,
  options: { ...VALUE_OPTIONS, ...TTL_OPTION, ...CONNECTION_OPTIONS },
  exits: ['1  the key exists', USAGE_EXIT, SOURCE_EXIT],
  example: 'slip create routes route.eu.web 10.0.0.1:8080',
  run: async (invocation) =>
    await writeValue(invocation, async (bucket, key, value, ttlMs) =>
      ttlMs === undefined
        ? await writerOf(bucket).create(key, value)
        : await ttlOf(bucket).create(key, value, ttlMs),
    ),
}

export const update: Command = {
  name: 'update',
  words: ['BUCKET', 'KEY', '[VALUE]'],
  summary: 'Writes a key only if it is still at a revision.',
  details: VALUE_DETAILS,
  options: {
    revision: { value: 'N', help: 'required: the revision it must be at' },
    ...VALUE_OPTIONS,
    ...TTL_OPTION,
    ...CONNECTION_OPTIONS,
  },
  exits: ['1  the key is at another revision', USAGE_EXIT, SOURCE_EXIT],
  example: 'slip update routes route.eu.web 10.0.0.2:8080 --revision 41',
  run: async (invocation) => {
    const expected = revisionOption(invocation)
    if (expected === undefined) throw new UsageError('--revision is missing', 'update')
    return await writeValue(invocation, async (bucket, key, value, ttlMs) => {
      if (ttlMs === undefined) return await writerOf(bucket).update(key, value, expected)
      const ttl = ttlOf(bucket)
      if (ttl.update === undefined)
        throw new KvError('Unsupported', `bucket ${bucket.name} cannot update with a time to live`)
      return await ttl.update(key, value, expected, ttlMs)
    })
  },
}

export const del: Command = {
  name: 'del',
  words: ['BUCKET', 'KEY'],
  summary: 'Deletes a key.',
  details: `With --revision only if it is still at that revision; what stays then is an empty value, which update goes on from and create finds. ${ANSWER}`,
  options: { revision: { value: 'N', help: 'the revision it must be at' }, ...CONNECTION_OPTIONS },
  exits: ['1  the key is at another revision', USAGE_EXIT, SOURCE_EXIT],
  example: 'slip del routes route.eu.web',
  run: async (invocation) => {
    const expected = revisionOption(invocation)
    return await write(invocation, async (bucket, key) =>
      expected === undefined
        ? await writerOf(bucket).delete(key)
        : await writerOf(bucket).deleteWithVersion(key, expected),
    )
  },
}

export const purge: Command = {
  name: 'purge',
  words: ['BUCKET', 'KEY'],
  summary: 'Deletes a key with its history.',
  details: ANSWER,
  options: CONNECTION_OPTIONS,
  exits: [USAGE_EXIT, SOURCE_EXIT],
  example: 'slip purge routes route.eu.web',
  run: async (invocation) =>
    await write(invocation, async (bucket, key) => {
      if (bucket.purger === undefined) throw new KvError('Unsupported', `bucket ${bucket.name} cannot purge`)
      return await bucket.purger.purge(key)
    }),
}

async function writeValue(
  invocation: Invocation,
  act: (bucket: KvStore, key: string, value: Uint8Array, ttlMs: number | undefined) => Promise<VersionToken>,
): Promise<number> {
  const { words, options } = invocation
  const ttlMs = optional(options.text('ttl'), (text) =>
    durationMs(text, 'ttl', { least: '1ms', most: '36500d' }),
  )
  const value = await valueInput(words[2], options)
  return await write(invocation, async (bucket, key) => await act(bucket, key, value, ttlMs))
}

async function write(
  { words: [name = '', key = ''], options, output }: Invocation,
  act: (bucket: KvStore, key: string) => Promise<VersionToken>,
): Promise<number> {
  return await withBucket(options, name, async (bucket) => {
    const { revision } = await act(bucket, key)
    await output.answer({ key, revision: revisionJson(revision) }, `${key} at revision ${String(revision)}`)
    return EXIT.done
  })
}

function revisionOption({ options }: Invocation): VersionToken | undefined {
  return optional(options.text('revision'), (text) => {
    if (!/^\d{1,20}$/.test(text) || BigInt(text) > 0xffff_ffff_ffff_ffffn)
      throw new UsageError(`--revision '${text}' is not a revision`)
    return VersionToken.fromRevision(BigInt(text))
  })
}

function ttlOf(bucket: KvStore): NonNullable<KvStore['ttl']> {
  if (bucket.ttl === undefined)
    throw new KvError('Unsupported', `bucket ${bucket.name} has no time to live for single keys`)
  return bucket.ttl
}

import { KvError } from '@slip/kv-core'
import { bucketConfig, BUCKET_OPTIONS } from '../bucket/bucket-config.ts'
import { CONNECTION_OPTIONS } from '../bucket/connection-options.ts'
import { driftLines, driftText } from '../bucket/drift.ts'
import { namingTheRemedy, withConnection } from '../bucket/with-bucket.ts'
import type { Command } from '../command/command.ts'
import { EXIT, withHint } from '../output/exit-code.ts'
import type { Output } from '../output/output.ts'
import { UsageError } from '../output/usage-error.ts'

const INFO_FIELDS =
  'JSON: {name, history, maxAgeMs, maxBytes, maxValueBytes, discard, replicas, storage, markerTtlMs, keys, bytes, firstRevision, lastRevision, created}; limits that are not set are null.'

export const bucketCreate: Command = {
  name: 'bucket create',
  words: ['NAME'],
  summary: 'Creates a bucket.',
  details: `${INFO_FIELDS} An existing bucket is left as it is: with other settings the answer is {name, exists, differs: [{setting, wanted, found}]}.`,
  options: { ...BUCKET_OPTIONS, ...CONNECTION_OPTIONS },
  exits: ['1  it exists with other settings', '3  the server cannot be used'],
  example: 'slip bucket create routes --history 1 --max-bytes 1GiB',
  async run({ words: [name = ''], options, output }) {
    const config = bucketConfig(options)
    return await withConnection(options, async (connection) => {
      const { drift } = await connection.store(name, config)
      if (drift.length === 0) return await answerInfo(output, await connection.bucketInfo(name))
      await output.answer(
        { name, exists: true, differs: driftLines(drift) },
        `bucket ${name} exists with other settings: ${driftText(drift)}`,
      )
      return EXIT.no
    })
  },
}

export const bucketInfo: Command = {
  name: 'bucket info',
  words: ['NAME'],
  summary: 'Says what a bucket is set to and holds.',
  details: INFO_FIELDS,
  options: CONNECTION_OPTIONS,
  exits: ['3  the server cannot be used, or there is no such bucket'],
  example: 'slip bucket info routes --json',
  async run({ words: [name = ''], options, output }) {
    return await withConnection(options, async (connection) => {
      try {
        return await answerInfo(output, await connection.bucketInfo(name))
      } catch (error) {
        throw namingTheRemedy(error, name)
      }
    })
  },
}

export const bucketDelete: Command = {
  name: 'bucket delete',
  words: ['NAME'],
  summary: 'Deletes a bucket and everything in it.',
  details: `Answers with what it was, and deleted. ${INFO_FIELDS}`,
  options: { yes: { help: 'required: there is no way back' }, ...CONNECTION_OPTIONS },
  exits: ['3  the server cannot be used, or there is no such bucket'],
  example: 'slip bucket delete routes --yes',
  async run({ words: [name = ''], options, output }) {
    if (!options.on('yes')) throw new UsageError(`deleting bucket ${name} needs --yes`, 'bucket delete')
    return await withConnection(options, async (connection) => {
      try {
        const info = await connection.bucketInfo(name)
        await connection.deleteBucket(name)
        await output.answer({ ...info, deleted: true }, `bucket ${name} deleted`)
        return EXIT.done
      } catch (error) {
        if (KvError.is(error) && error.code === 'BucketNotFound')
          withHint(error, 'There is nothing to delete.')
        throw error
      }
    })
  },
}

async function answerInfo(output: Output, info: object): Promise<number> {
  const lines = Object.entries(info).map(
    ([field, value]) => `${field.padEnd(14)} ${value === null ? '-' : String(value)}`,
  )
  await output.answer(info, lines.join('\n'))
  return EXIT.done
}

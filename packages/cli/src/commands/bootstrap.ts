import { mkdtemp, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { ExpectedFold } from '@slip/export'
import { SnapshotError, type ObjectStore } from '@slip/kv-core'
import { IMPORT_OPTIONS, importLimits } from '../artifact/import-options.ts'
import { FETCHED, KEEP_OPTIONS, keptArtifact, PREVIOUS } from '../artifact/kept-artifact.ts'
import { objectsAt } from '../artifact/object-url.ts'
import { describedBucket, namingTheRemedy } from '../bucket/with-bucket.ts'
import { CONNECTION_OPTIONS } from '../bucket/connection-options.ts'
import type { Command, ParsedOptions } from '../command/command.ts'
import { foldAddress } from '../fold/fold-address.ts'
import { backendOf } from '../fold/fold-backend.ts'
import { EXIT } from '../output/exit-code.ts'
import { Progress } from '../output/progress.ts'
import { UsageError } from '../output/usage-error.ts'
import { revisionJson } from '../output/wire.ts'

const POINTER = '.manifest.json'

export const bootstrap: Command = {
  name: 'bootstrap',
  words: ['URL', 'FOLD'],
  summary: 'Makes a new fold of the newest artifact that is published.',
  details:
    'URL is file:DIR, nats:OBJECT_BUCKET over --server, or s3://BUCKET/PREFIX with the usual AWS variables. Nothing is looked at before its digest matched; the fold appears whole, or not at all. A broken link is taken up where it ended. JSON: {entries, cursor, revision, bytes (of the payload), received (over the link)}.',
  options: {
    name: { value: 'NAME', help: 'what it is published as; default the only one there is' },
    against: {
      value: 'BUCKET',
      help: 'asks this bucket over --server, before the download and behind it, whether the artifact is of its history',
    },
    ...KEEP_OPTIONS,
    ...IMPORT_OPTIONS,
    ...CONNECTION_OPTIONS,
  },
  exits: [
    '1  none is published there',
    '2  the fold exists, or is held; several are published and --name does not say which',
    '3  the bucket of --against cannot be asked',
    '4  the artifact is refused; nothing appears',
  ],
  example: 'slip bootstrap file:./artifacts log:./routes.slip',
  async run({ words: [url = '', fold = ''], options, output }) {
    const address = foldAddress(fold)
    const limits = await importLimits(options, 'bootstrap')
    const place = { path: address.path, durability: undefined, format: undefined, waitLockMs: undefined }
    const into = (await backendOf(address)).place(place)
    if (await into.exists()) throw new UsageError(`there is a fold at ${address.path} already`, 'bootstrap')
    const against = options.text('against')
    const limitsNow = async (): Promise<typeof limits> =>
      against === undefined
        ? limits
        : { ...limits, expected: await historyOf(against, options, limits.expected) }
    const keep = await keptArtifact(options, 'bootstrap')
    const from = await objectsAt(url, options, 'bootstrap')
    const { downloadArtifact, importSnapshot } = await import('@slip/export')
    const scratch = keep ?? (await mkdtemp(join(dirname(resolve(address.path)), '.slip-bootstrap-')))
    const directory = join(scratch, FETCHED)
    const previous = keep === undefined ? undefined : join(keep, PREVIOUS)
    const progress = new Progress(output.quiet)
    try {
      const name = options.text('name') ?? (await onlyName(from))
      await rm(directory, { recursive: true, force: true })
      let received = 0
      const found =
        name === undefined
          ? undefined
          : await downloadArtifact(from, name, directory, {
              ...(await limitsNow()),
              previous,
              onProgress: ({ bytes, totalBytes, receivedBytes }) => {
                received = receivedBytes
                progress.update(() => `${bytes} of ${totalBytes} bytes fetched`)
              },
            })
      progress.clear()
      if (found === undefined) {
        output.warn(`nothing is published ${name === undefined ? `at ${url}` : `as ${name} at ${url}`}`)
        return EXIT.no
      }
      const { cursor, entries, files } = await importSnapshot(directory, into, {
        ...(await limitsNow()),
        scratchDirectory: scratch,
      })
      if (previous !== undefined) {
        await rm(previous, { recursive: true, force: true })
        await rename(directory, previous)
      }
      const revision = revisionJson(cursor.revision)
      const bytes = files.reduce((sum, { size }) => sum + size, 0)
      await output.answer(
        { entries, cursor: cursor.toHex(), revision, bytes, received },
        `${entries} entries, revision ${revision ?? '-'}, ${received} bytes received`,
      )
      return EXIT.done
    } catch (error) {
      const isHeld = SnapshotError.is(error) && error.code === 'Busy'
      if (error instanceof TypeError || isHeld) throw new UsageError(error.message, 'bootstrap')
      throw error
    } finally {
      progress.clear()
      await rm(keep === undefined ? scratch : directory, { recursive: true, force: true })
      await from.close?.()
    }
  },
}

/** What an artifact has to be of; KvError where the bucket cannot be asked. */
async function historyOf(
  bucket: string,
  options: ParsedOptions,
  { name }: ExpectedFold,
): Promise<ExpectedFold> {
  try {
    const { kind, name: stated, incarnation } = await describedBucket(options, bucket)
    return { kind, incarnation, name: name ?? stated }
  } catch (error) {
    throw namingTheRemedy(error, bucket)
  }
}

/** undefined when none is published; UsageError when several are. */
async function onlyName(from: ObjectStore): Promise<string | undefined> {
  const names: string[] = []
  for await (const { name } of from.list(''))
    if (name.endsWith(POINTER)) names.push(name.slice(0, -POINTER.length))
  if (names.length > 1)
    throw new UsageError(
      `several are published: ${names.sort().join(', ')}; say which with --name`,
      'bootstrap',
    )
  return names[0]
}

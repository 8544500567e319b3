import { mkdtemp, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { SnapshotError } from '@slip/kv-core'
import { EXPORT_OPTIONS, exportSettings, mustStateScope } from '../artifact/interchange.ts'
import { objectsAt } from '../artifact/object-url.ts'
import { CONNECTION_OPTIONS } from '../bucket/connection-options.ts'
import type { Command } from '../command/command.ts'
import { bindingLine } from '../fold/binding-line.ts'
import { foldAddress } from '../fold/fold-address.ts'
import { withReader } from '../fold/with-reader.ts'
import { EXIT } from '../output/exit-code.ts'
import { Progress } from '../output/progress.ts'
import { UsageError } from '../output/usage-error.ts'

export const publish: Command = {
  name: 'publish',
  words: ['FOLD', 'URL'],
  summary: 'Publishes a copy of a fold for other nodes to start from.',
  details:
    "Works beside a running follower, as export does. URL is file:DIR, nats:OBJECT_BUCKET over --server, or s3://BUCKET/PREFIX with the usual AWS variables. The payload is written once under a name of its own, then the pointer NAME.manifest.json is moved to it, unless that names a newer artifact (superseded). Of what was published before only what changed is sent. JSON: {outcome: 'published' or 'superseded', pointer, payload, bytes, sent}.",
  options: {
    name: { value: 'NAME', help: "what it is published as, may contain '/'; default the name of the bucket" },
    ...EXPORT_OPTIONS,
    ...CONNECTION_OPTIONS,
  },
  exits: [
    '2  NAME is missing, is none, or holds artifacts of the other family or of another bucket',
    '4  the fold is damaged or not a fold',
  ],
  example: 'slip publish log:./routes.slip file:./artifacts',
  async run({ words: [fold = '', url = ''], options, output }) {
    const address = foldAddress(fold)
    const to = await objectsAt(url, options, 'publish')
    return await withReader(address, output, async (reader) => {
      const name = options.text('name') ?? bindingLine(reader.lineage)?.name
      if (name === undefined)
        throw new UsageError('the fold does not say which bucket it is of: use --name', 'publish')
      const settings = await exportSettings(options, 'publish')
      mustStateScope(settings, reader.lineage, 'publish')
      const { exportSnapshot, publishArtifact } = await import('@slip/export')
      const scratch = await mkdtemp(join(dirname(resolve(address.path)), '.slip-publish-'))
      const progress = new Progress(output.quiet)
      try {
        const directory = join(scratch, 'artifact')
        await exportSnapshot(reader, directory, { ...settings, layout: 'records' })
        const { outcome, pointer, payload, bytes, sentBytes } = await publishArtifact(directory, to, name, {
          onProgress: (done) => progress.update(() => `${done.bytes} of ${done.totalBytes} bytes published`),
        })
        progress.clear()
        await output.answer(
          { outcome, pointer, payload, bytes, sent: sentBytes },
          outcome === 'published' ? `${pointer}, ${sentBytes} bytes sent` : `${pointer} names a newer one`,
        )
        return EXIT.done
      } catch (error) {
        if (error instanceof TypeError || (SnapshotError.is(error) && error.code === 'ForeignFold'))
          throw new UsageError(error.message, 'publish')
        throw error
      } finally {
        progress.clear()
        await rm(scratch, { recursive: true, force: true })
        await to.close?.()
      }
    })
  },
}

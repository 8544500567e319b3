import { dirname, resolve } from 'node:path'
import { SnapshotError } from '@slip/kv-core'
import { keyFile } from '../artifact/key-file.ts'
import type { Command } from '../command/command.ts'
import { durationMs, optional, sizeBytes } from '../command/units.ts'
import { foldAddress } from '../fold/fold-address.ts'
import { backendOf } from '../fold/fold-backend.ts'
import { EXIT } from '../output/exit-code.ts'
import { Progress } from '../output/progress.ts'
import { UsageError } from '../output/usage-error.ts'
import { revisionJson } from '../output/wire.ts'

export const importFold: Command = {
  name: 'import',
  words: ['DIR', 'FOLD'],
  summary: 'Makes a new fold of an artifact: all of it, or none.',
  details:
    'Any artifact becomes either kind of fold. Nothing of it is looked at before its digest matched. JSON: {entries, cursor, revision, bytes (of the payload)}.',
  options: {
    'trusted-key': {
      value: 'FILE',
      help: 'an Ed25519 public key (PEM): one of them has to have signed the artifact',
      multiple: true,
    },
    'max-age': { value: 'DURATION', help: 'how long ago the artifact may have been made; default any time' },
    'max-bytes': { value: 'SIZE', help: 'how large its payload may be; default any size' },
    bucket: { value: 'NAME', help: 'the bucket it has to be of, where it states one' },
  },
  exits: ['2  the fold exists, or is held', '4  the artifact is refused; nothing appears'],
  example: 'slip import ./artifact log:./routes.slip',
  async run({ words: [directory = '', fold = ''], options, output }) {
    const address = foldAddress(fold)
    const trustedKeys = await Promise.all(
      options.list('trusted-key').map(async (path) => keyFile(path, 'public', 'import')),
    )
    const maxAgeMs = optional(options.text('max-age'), (text) => durationMs(text, 'max-age'))
    const maxBytes = optional(options.text('max-bytes'), (text) => sizeBytes(text, 'max-bytes'))
    const place = { path: address.path, durability: undefined, format: undefined, waitLockMs: undefined }
    const into = (await backendOf(address)).place(place)
    const { importSnapshot } = await import('@slip/export')
    const progress = new Progress(output.quiet)
    try {
      const { cursor, entries, files } = await importSnapshot(directory, into, {
        trustedKeys,
        maxAgeMs,
        maxBytes,
        expected: { name: options.text('bucket') },
        scratchDirectory: dirname(resolve(address.path)),
        onProgress: ({ bytes, totalBytes }) => progress.update(() => `${bytes} of ${totalBytes} bytes`),
      })
      progress.clear()
      const revision = revisionJson(cursor.revision)
      const bytes = files.reduce((sum, { size }) => sum + size, 0)
      await output.answer(
        { entries, cursor: cursor.toHex(), revision, bytes },
        `${entries} entries, revision ${revision ?? '-'}`,
      )
      return EXIT.done
    } catch (error) {
      // A destination that is held is one that exists.
      if (SnapshotError.is(error) && error.code === 'Busy') throw new UsageError(error.message, 'import')
      throw error
    } finally {
      progress.clear()
    }
  },
}

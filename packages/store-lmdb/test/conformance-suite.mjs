import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import locate from './conformance-child.mjs'

const childModule = new URL('conformance-child.mjs', import.meta.url)
const checkedModule = new URL('conformance-checked.mjs', import.meta.url)
const readerModule = new URL('conformance-reader.mjs', import.meta.url)

/**
 * All that the kit can ask of a fold in LMDB: `batch`, `os` and `bulk` say how it is written, `structure` that
 * its structure is read before it is opened, after which no damage may end a process.
 */
export function lmdbSuite(how) {
  return {
    features: {
      views: true,
      lineage: true,
      deletedKeys: true,
      staging: true,
      durable: true,
      multiProcessReaders: true,
      maxKeyBytes: 65_535,
      maxValueBytes: 64 * 1024 * 1024,
    },
    damage: { detects: how === 'structure' ? 'some' : 'opening', checkedModule },
    // Not `failing-calls`: LMDB describes a failed write beyond the end of a buffer, which may end the process.
    outsideFaults: ['small-disk', 'file-limit', 'failing-syncs'],
    readerModule,
    create: async () => {
      const directory = await mkdtemp(join(tmpdir(), 'slip-lmdb-'))
      const path = join(directory, `fold.${how}`)
      return {
        location: locate(path),
        path,
        childModule,
        destroy: () => rm(directory, { recursive: true, force: true }),
      }
    },
  }
}

/** For the command: `SLIP_FOLD` says which. */
export const suite = lmdbSuite(process.env.SLIP_FOLD ?? 'batch')

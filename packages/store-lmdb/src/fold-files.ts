import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { MergePlace } from './bulk-merge.ts'
import { highestNumber, newFold, type CurrentFold } from './fold-directory.ts'
import type { LmdbOptions } from './lmdb-options.ts'
import { asIo } from './io-error.ts'

/** Readers that just read the name of a replaced file still find it. */
const KEEP_REPLACED_MS = 5_000

/** The files a writer makes and leaves in the directory of its fold. */
export class FoldFiles implements MergePlace {
  readonly directory: string
  readonly options: LmdbOptions
  readonly #replaced = new Map<string, NodeJS.Timeout>()
  /** Of the newest file: a fold may be staged and compacted at once. */
  #number = 0

  constructor(directory: string, options: LmdbOptions) {
    this.directory = directory
    this.options = options
  }

  /** A fold for a file that nobody else has taken. SnapshotError `Io`. */
  async nextFold(): Promise<CurrentFold> {
    const highest = await highestNumber(this.directory).catch((error: unknown) => {
      throw asIo(error, 'reading', this.directory)
    })
    this.#number = Math.max(this.#number, highest) + 1
    return newFold(this.#number)
  }

  pathOf({ name }: CurrentFold): string {
    return join(this.directory, name)
  }

  /** Removes a file that another has replaced, when nobody looks for it any more. */
  removeLater(file: string): void {
    const timer = setTimeout(() => {
      void removeFile(file).catch(() => undefined)
      this.#replaced.delete(file)
    }, KEEP_REPLACED_MS)
    timer.unref()
    this.#replaced.set(file, timer)
  }

  /** Removes at once what was to be removed. Never rejects: the next writer removes what is left. */
  async close(): Promise<void> {
    for (const [file, timer] of this.#replaced) {
      clearTimeout(timer)
      await removeFile(file).catch(() => undefined)
    }
  }
}

/** A file of the library, and its table of readers. */
export async function removeFile(file: string): Promise<void> {
  await rm(file, { force: true })
  await rm(`${file}-lock`, { force: true })
}

import { access, constants, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SnapshotError } from '@slip/kv-core'
import { systemCode } from '@slip/kv-core/store-parts'
import { openEnvironment, type Environment } from './environment.ts'
import { checkFile, checkLockFile } from './file-check.ts'
import { FoldCut } from './fold-cut.ts'
import { CURRENT_NAME, damageMark, readCurrent } from './fold-directory.ts'
import { DEFAULT_MAX_READERS, type LmdbOptions } from './lmdb-options.ts'
import { isSetBack } from './newest-commit.ts'

const OPEN_ATTEMPTS = 5
/** As long as a writer that lives may need, and some. */
const MEND_LOOKS = 30
const MEND_PAUSE_MS = 10

/** One file of a fold, open for reading. */
export class ReaderFile {
  readonly file: string
  readonly environment: Environment
  /** Which CURRENT named it. */
  readonly currentIno: number
  /** The mark of damage that was there before all of it was read and found whole. */
  readonly checkedMark: string | undefined
  readonly #cuts = new Set<FoldCut>()
  cut: FoldCut
  #retired = false
  #closing: Promise<void> | undefined

  private constructor(
    file: string,
    environment: Environment,
    named: { readonly currentIno: number; readonly checkedMark: string | undefined },
  ) {
    this.file = file
    this.environment = environment
    this.currentIno = named.currentIno
    this.checkedMark = named.checkedMark
    this.cut = this.#newest({ show: false })
  }

  /**
   * What arrived in a fold that is filled in bulk is checked before it is shown: it is read through the library.
   * Closes the environment where that fails. SnapshotError `Corrupted`, `Io`.
   */
  static async over(
    environment: Environment,
    file: string,
    named: { readonly currentIno: number; readonly checkedMark: string | undefined },
  ): Promise<ReaderFile> {
    let opened: ReaderFile | undefined
    try {
      opened = new ReaderFile(file, environment, named)
      if (opened.cut.layers !== undefined)
        await checkFile(file, 'head', { named: true, live: true, pinned: true })
      await opened.cut.prepare()
      return opened
    } catch (error) {
      await (opened?.end() ?? environment.root.close())
      throw error
    }
  }

  /** Goes to the newest commit; stays where it is where others set back where transactions begin. */
  renew(): void {
    const next = this.#newest({ show: true })
    if (next.state.commit < this.cut.state.commit) {
      next.release()
      return
    }
    this.cut.release()
    this.cut = next
  }

  /** Closes the file when the last view of it is. */
  retire(): void {
    this.#retired = true
    this.cut.release()
    this.#closeIfUnused()
  }

  /** Ends every read, and closes the file. */
  async end(): Promise<void> {
    for (const cut of this.#cuts) cut.end()
    await this.#close()
  }

  #newest(how: { readonly show: boolean }): FoldCut {
    const ended = (): void => {
      this.#cuts.delete(cut)
      this.#closeIfUnused()
    }
    const cut: FoldCut = FoldCut.newest(this.environment, this.file, ended, how)
    this.#cuts.add(cut)
    return cut
  }

  #closeIfUnused(): void {
    if (this.#retired && this.#cuts.size === 0) void this.#close()
  }

  async #close(): Promise<void> {
    this.#closing ??= this.environment.root.close()
    await this.#closing
  }
}

/**
 * Opens the file that CURRENT names, at a commit that is no older than the newest before. SnapshotError `NotFound`,
 * `ForeignFold`, `InvalidFormat`, `Corrupted`, `Io`.
 */
export async function openReaderFile(
  directory: string,
  { maxReaders = DEFAULT_MAX_READERS }: Pick<LmdbOptions, 'maxReaders'>,
): Promise<ReaderFile> {
  for (let attempt = 1; ; attempt++) {
    // Before it is read, so that a swap in between shows.
    const { ino } = await stat(join(directory, CURRENT_NAME)).catch(absent)
    const current = await readCurrent(directory)
    if (current === undefined || ino === undefined) throw notFound(directory)
    const file = join(directory, current.name)
    const checkedMark = damageMark(directory)
    try {
      const { foldId, commit } = await checkFile(file, 'head', { named: true, live: true })
      if (Buffer.compare(foldId, current.foldId) !== 0)
        throw new SnapshotError('ForeignFold', `${file} belongs to another fold`, { path: file })
      await checkLockFile(file)
      const environment = await openEnvironment(file, {
        // So that a writer that joins it in this process can keep its word.
        synced: true,
        reads: await isWritable(file),
        maxReaders,
      })
      const opened = await ReaderFile.over(environment, file, { currentIno: ino, checkedMark })
      if (checkedMark !== undefined) await mustBeWhole(opened)
      // Who opens it may set back where transactions begin. Its writer mends that; where none lives, opening it again does.
      const isBehind = (): boolean => opened.cut.state.commit < commit || isSetBack(environment)
      for (let look = 0; look < MEND_LOOKS && isBehind(); look++) {
        await delay(MEND_PAUSE_MS)
        opened.renew()
      }
      if (!isBehind() || attempt >= OPEN_ATTEMPTS) return opened
      await opened.end()
    } catch (error) {
      // It was replaced since CURRENT was read.
      if (!(SnapshotError.is(error) && error.code === 'NotFound') || attempt >= OPEN_ATTEMPTS) throw error
    }
  }
}

/** Reads every page and record of a file, whose newest commit stays in place meanwhile; closes it where it is damaged. */
async function mustBeWhole(opened: ReaderFile): Promise<void> {
  try {
    await checkFile(opened.file, 'records', { named: true, live: true })
  } catch (error) {
    await opened.end()
    throw error
  }
}

function absent(error: unknown): { readonly ino: undefined } {
  if (!['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw error
  return { ino: undefined }
}

async function isWritable(file: string): Promise<'writableFile' | 'readOnlyFile'> {
  return access(file, constants.W_OK).then(
    () => 'writableFile',
    () => 'readOnlyFile',
  )
}

export function notFound(path: string, cause?: unknown): SnapshotError {
  return new SnapshotError('NotFound', `there is no fold at ${path}`, { path, cause })
}

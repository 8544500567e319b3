import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs'

/** How the library's lock file begins (`MDB_txbody`): a mark, a format, and where transactions begin. */
const MAGIC = 0xbeefc0de
const NEWEST_AT = 8
const HEAD_BYTES = 16

/**
 * The library's lock file of an environment that is open in this process. It holds the id of the newest commit, for
 * who begins a transaction.
 *
 * It is used through the descriptor that the library has of it: closing another one would drop the locks that the
 * library holds on the file in this process, and the next opener elsewhere would take its readers for dead.
 */
export class LockFile {
  readonly #path: string
  /** undefined where locks belong to a descriptor and not to the process. */
  readonly #descriptor: number | undefined

  private constructor(path: string, descriptor: number | undefined) {
    this.#path = path
    this.#descriptor = descriptor
  }

  /** The one of the environment that is open in `file`; undefined where it has none that is known. */
  static of(file: string): LockFile | undefined {
    // Ids are shorter there.
    if (process.arch === 'arm') return undefined
    const path = `${file}-lock`
    const ofProcess = process.platform !== 'win32'
    const descriptor = ofProcess ? openDescriptorOf(path) : undefined
    if (ofProcess && descriptor === undefined) return undefined
    const lockFile = new LockFile(path, descriptor)
    return lockFile.#head().readUInt32LE(0) === MAGIC ? lockFile : undefined
  }

  /** Of the commit that the next transaction begins at. */
  get newest(): number {
    return Number(this.#head().readBigUInt64LE(NEWEST_AT))
  }

  /** For who holds the lock of the writers, so that no commit comes between. */
  set newest(id: number) {
    const bytes = Buffer.alloc(HEAD_BYTES - NEWEST_AT)
    bytes.writeBigUInt64LE(BigInt(id))
    this.#use((descriptor) => writeSync(descriptor, bytes, 0, bytes.length, NEWEST_AT))
  }

  #head(): Buffer {
    const head = Buffer.alloc(HEAD_BYTES)
    this.#use((descriptor) => readSync(descriptor, head, 0, HEAD_BYTES, 0))
    return head
  }

  #use(work: (descriptor: number) => void): void {
    if (this.#descriptor !== undefined) {
      work(this.#descriptor)
      return
    }
    const descriptor = openSync(this.#path, 'r+')
    try {
      work(descriptor)
    } finally {
      closeSync(descriptor)
    }
  }
}

/** None where the system does not list them. */
function openDescriptors(): number[] {
  try {
    return readdirSync('/dev/fd').map(Number)
  } catch {
    return []
  }
}

/** The library keeps its own to itself: it is the one that this process has open on the same file. */
function openDescriptorOf(path: string): number | undefined {
  const wanted = statSync(path, { bigint: true, throwIfNoEntry: false })
  if (wanted === undefined) return undefined
  return openDescriptors().find((descriptor) => {
    try {
      const { dev, ino } = fstatSync(descriptor, { bigint: true })
      return dev === wanted.dev && ino === wanted.ino
    } catch {
      // The list's own, which is closed by now.
      return false
    }
  })
}

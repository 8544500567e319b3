import { createHash, randomUUID } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SnapshotError } from '../errors.ts'
import { systemCode, type FileSystem, type LogHandle } from './file-system.ts'
import { describeSelf, judgeHolder, parseHolder, startTimeOf, type LockHolder } from './lock-holder.ts'
import { takeSocketLock, type SocketLock } from './socket-lock.ts'

const HEARTBEAT_MS = 2_000
/** A holder whose life cannot be checked from here is given up when its heartbeat is this old. */
const HEARTBEAT_LOST_MS = 15_000
const RETRY_MS = 50
const UNWRITTEN_RETRIES = 20
const MOST_DRAFTS = 5
const FULL_DISK = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

interface LockFile {
  readonly handle: LogHandle
  readonly ino: number
}

export interface LockWait {
  /** How long to wait for another holder. @default 0 */
  readonly waitLockMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** The right to write one fold. Held until `release`, or until the process dies. */
export class WriterLock {
  readonly #files: FileSystem
  readonly #path: string
  readonly #socket: SocketLock | undefined
  readonly #file: LockFile | undefined
  readonly #heartbeat: NodeJS.Timeout
  #released = false
  #lost = false

  private constructor(
    files: FileSystem,
    path: string,
    socket: SocketLock | undefined,
    file: LockFile | undefined,
  ) {
    this.#files = files
    this.#path = path
    this.#socket = socket
    this.#file = file
    this.#heartbeat = setInterval(() => void this.#beat(), HEARTBEAT_MS)
    this.#heartbeat.unref()
  }

  /**
   * Takes the lock of the log, or of the directory of a fold, at `logPath`. SnapshotError `Busy` naming
   * the holder's process id and host when somebody has it and `waitLockMs` has passed.
   */
  static async take(files: FileSystem, logPath: string, wait: LockWait = {}): Promise<WriterLock> {
    const deadline = performance.now() + (wait.waitLockMs ?? 0)
    for (;;) {
      wait.signal?.throwIfAborted()
      const taken = await WriterLock.#try(files, logPath)
      if (taken instanceof WriterLock) return taken
      if (performance.now() >= deadline) throw busy(logPath, taken.holder)
      await delay(Math.min(RETRY_MS, Math.max(1, deadline - performance.now())), undefined, {
        signal: wait.signal,
      }).catch(() => wait.signal?.throwIfAborted())
    }
  }

  static async #try(
    files: FileSystem,
    logPath: string,
  ): Promise<WriterLock | { readonly holder: LockHolder | undefined }> {
    const path = lockPath(logPath)
    const socket = await takeSocketLock(await lockName(files, logPath))
    if (socket === 'taken') return { holder: await readHolder(files, path, UNWRITTEN_RETRIES) }
    const held = socket === 'unsupported' ? undefined : socket
    try {
      const claimed = await claimFile(files, path, held !== undefined)
      if ('file' in claimed) return new WriterLock(files, path, held, claimed.file)
      await held?.release()
      return claimed
    } catch (error) {
      // Opening never needs free space: on a full disk the socket alone is the lock, without a name.
      if (held !== undefined && FULL_DISK.has(systemCode(error) ?? ''))
        return new WriterLock(files, path, held, undefined)
      await held?.release()
      throw error
    }
  }

  /** Whether the lock file is still ours: false when somebody took the fold over. */
  async stillHeld(): Promise<boolean> {
    if (this.#released) return false
    if (this.#file === undefined) return true
    try {
      return (await this.#files.stat(this.#path)).ino === this.#file.ino
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false
      throw error
    }
  }

  /** True once somebody else was seen to have the lock. */
  get lost(): boolean {
    return this.#lost
  }

  async #beat(): Promise<void> {
    if (!(await this.stillHeld().catch(() => true))) this.#lost = !this.#released
    const now = new Date()
    await this.#file?.handle.utimes(now, now).catch(() => undefined)
  }

  /** Idempotent; never rejects. */
  async release(): Promise<void> {
    if (this.#released) return
    // The file goes first: while it goes, the socket keeps the next opener out.
    const ours = await this.stillHeld().catch(() => false)
    this.#released = true
    clearInterval(this.#heartbeat)
    if (ours && this.#file !== undefined) await this.#files.unlink(this.#path).catch(() => undefined)
    await this.#file?.handle.close().catch(() => undefined)
    await this.#socket?.release()
  }
}

/** Who holds the fold at `logPath`, when anybody alive does. */
export async function currentHolder(files: FileSystem, logPath: string): Promise<LockHolder | undefined> {
  const holder = await readHolder(files, lockPath(logPath), 0)
  if (holder === undefined) return undefined
  const life = await lifeOf(files, lockPath(logPath), holder, false)
  return life ? holder : undefined
}

export function lockPath(logPath: string): string {
  return `${logPath}.lock`
}

/** Names the log by its directory's identity, so that every path to it gives the same lock. */
async function lockName(files: FileSystem, logPath: string): Promise<string> {
  const { dev, ino } = await files.stat(dirname(logPath))
  return createHash('sha256')
    .update(`${dev}:${ino}:${basename(logPath)}`)
    .digest('hex')
    .slice(0, 32)
}

async function claimFile(
  files: FileSystem,
  path: string,
  socketLock: boolean,
): Promise<{ file: LockFile } | { holder: LockHolder | undefined }> {
  for (let attempt = 1; ; attempt++) {
    const claimed = await claimByDraft(files, path, socketLock, attempt === MOST_DRAFTS)
    if (claimed !== 'draft gone') return claimed
  }
}

/** `draft gone`: somebody whose clock is far ahead took it for one that was left behind. */
async function claimByDraft(
  files: FileSystem,
  path: string,
  socketLock: boolean,
  isLast: boolean,
): Promise<{ file: LockFile } | { holder: LockHolder | undefined } | 'draft gone'> {
  const nonce = randomUUID()
  // Written whole beside its place and linked in, so that nobody ever reads half of it.
  const draft = `${path}.${nonce}`
  const handle = await files.open(draft, 'create')
  try {
    const text = Buffer.from(`${JSON.stringify(await describeSelf(nonce))}\n`)
    await handle.write(text, 0, text.length, 0)
    for (;;) {
      try {
        await files.link(draft, path)
        await files.unlink(draft).catch(() => undefined)
        return { file: { handle, ino: (await handle.stat()).ino } }
      } catch (error) {
        if (systemCode(error) === 'ENOENT' && !isLast) {
          await handle.close().catch(() => undefined)
          return 'draft gone'
        }
        if (systemCode(error) !== 'EEXIST') throw error
      }
      const holder = await readHolder(files, path, 0)
      if (holder !== undefined && (await lifeOf(files, path, holder, socketLock))) {
        await abandon(files, draft, handle)
        return { holder }
      }
      await removeStale(files, path, holder, nonce)
    }
  } catch (error) {
    await abandon(files, draft, handle)
    throw error
  }
}

async function abandon(files: FileSystem, draft: string, handle: LogHandle): Promise<void> {
  await handle.close().catch(() => undefined)
  await files.unlink(draft).catch(() => undefined)
}

/** Moves away exactly the lock that was judged; one that took its place in between is put back. */
async function removeStale(
  files: FileSystem,
  path: string,
  judged: LockHolder | undefined,
  nonce: string,
): Promise<void> {
  const aside = `${path}.${nonce}.stale`
  try {
    await files.rename(path, aside)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    throw error
  }
  try {
    const moved = parseHolder(await files.readFile(aside))
    if (moved?.nonce !== judged?.nonce) await files.link(aside, path).catch(() => undefined)
    await files.unlink(aside)
  } catch (error) {
    // It is old: who tidies up beside it may have removed it.
    if (systemCode(error) !== 'ENOENT') throw error
  }
}

async function lifeOf(
  files: FileSystem,
  path: string,
  holder: LockHolder,
  socketLock: boolean,
): Promise<boolean> {
  const startTime = await startTimeOf(holder.pid)
  const life = judgeHolder(
    holder,
    await describeSelf(''),
    { startTime, signalled: processExists(holder.pid) },
    socketLock,
  )
  if (life !== 'unknown') return life === 'alive'
  const facts = await files.stat(path).catch(() => undefined)
  return facts !== undefined && Date.now() - facts.mtimeMs < HEARTBEAT_LOST_MS
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
}

/** Between taking the socket and writing the file a holder has no name yet: then it is asked again. */
async function readHolder(files: FileSystem, path: string, retries: number): Promise<LockHolder | undefined> {
  for (let attempt = 0; ; attempt++) {
    const bytes = await files.readFile(path).catch(() => undefined)
    const holder = bytes === undefined ? undefined : parseHolder(bytes)
    if (holder !== undefined || attempt >= retries) return holder
    await delay(10)
  }
}

function busy(path: string, holder: LockHolder | undefined): SnapshotError {
  const who =
    holder === undefined ? 'a process that has not said who it is' : `process ${holder.pid} on ${holder.host}`
  return new SnapshotError('Busy', `${path} is held by ${who}`, { path })
}

import { constants, lstat, open, readdir, realpath, stat, utimes, type FileHandle } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { KvError, type ListedObject, type ObjectPutOptions, type ObjectStore } from '@slip/kv-core'
import { systemCode } from '@slip/kv-core/store-parts'
import { asIo } from '../artifact-error.ts'
import { artifactFiles, openUntrusted, readStretches } from '../artifact-files.ts'
import {
  etagOfBytes,
  etagOfFile,
  MOST_HASHED_BYTES,
  PLACE,
  sweepPlace,
  unlinkIfThere,
  withDraft,
  withName,
} from './directory-place.ts'
import { BodyFailed, bodyOf, bodyOfBytes, piecesOf } from './object-body.ts'
import { mustBeNamePrefix, mustBeObjectName } from './object-name.ts'

const STRETCH_BYTES = 512 * 1024
const GONE = new Set(['ENOENT', 'ENOTDIR'])

/**
 * Objects as files of a directory, which is made when something is put. Processes of one machine, and of
 * several where the file system has links and renames, may share it: an object comes into its place by one
 * rename or one link, synced before, and what is in the way of a condition is kept out by a lock that
 * dies with its process. Names are taken as they are, so a file system that folds case folds them.
 *
 * An object and others below its name cannot both be there. SnapshotError `Io`, `Busy`.
 */
export function directoryObjects(directory: string): ObjectStore {
  return new DirectoryObjects(resolve(directory))
}

class DirectoryObjects implements ObjectStore {
  readonly capabilities = { createOnly: true, compareAndSwap: true, rangeReads: true } as const
  readonly #root: string
  #swept: Promise<void> | undefined

  constructor(root: string) {
    this.#root = root
  }

  async get(
    ...[name, { signal, range } = {}]: Parameters<ObjectStore['get']>
  ): ReturnType<ObjectStore['get']> {
    signal?.throwIfAborted()
    const path = this.#pathOf(name)
    const opened = await openObject(path)
    if (opened === undefined) return undefined
    const { handle, size } = opened
    const start = Math.min(range?.start ?? 0, size)
    const end = Math.min(start + (range?.length ?? size), size)
    try {
      if (size > MOST_HASHED_BYTES) {
        const etag = await etagOfFile(handle)
        return { body: bodyOfFile(handle, path, start, end, signal), size, etag }
      }
      const bytes = await readWhole(handle, path, size)
      await handle.close()
      return { body: bodyOfBytes(bytes.subarray(start, end), signal), size, etag: etagOfBytes(bytes) }
    } catch (error) {
      await handle.close().catch(() => undefined)
      throw asIo(error, 'reading', path, signal)
    }
  }

  async put(
    ...[name, body, options = {}]: Parameters<ObjectStore['put']>
  ): Promise<{ readonly etag: string } | 'conflict'> {
    const { signal } = options
    signal?.throwIfAborted()
    const path = this.#pathOf(name)
    try {
      await this.#ready()
      return await withDraft(this.#root, async (draft) => {
        const hash = await writeDraft(draft, body, signal)
        await this.#makeDirectory(dirname(path))
        signal?.throwIfAborted()
        const etag = await this.#place(draft, path, name, hash, options)
        if (etag === undefined) return 'conflict'
        await artifactFiles.syncDirectory(dirname(path))
        return { etag }
      })
    } catch (error) {
      throw error instanceof BodyFailed ? error.error : asIo(error, 'writing', path, signal)
    }
  }

  async *list(
    ...[prefix, { signal } = {}]: Parameters<ObjectStore['list']>
  ): AsyncGenerator<ListedObject, void, undefined> {
    signal?.throwIfAborted()
    mustBeNamePrefix(prefix)
    const within = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    yield* this.#walk(within, prefix, signal)
  }

  async delete(...[name, options = {}]: Parameters<ObjectStore['delete']>): Promise<void> {
    const { signal } = options
    signal?.throwIfAborted()
    const path = this.#pathOf(name)
    try {
      if ((await lstat(path).catch(ifGone)) === undefined) return
      await this.#ready()
      await withName(this.#root, name, options, async () => {
        await unlinkIfThere(path)
        await artifactFiles.syncDirectory(dirname(path))
      })
    } catch (error) {
      throw asIo(error, 'deleting', path, signal)
    }
  }

  #pathOf(name: string): string {
    mustBeObjectName(name)
    if (name.split('/')[0] === PLACE) throw new KvError('InvalidKey', `${PLACE} is no place for objects`)
    return join(this.#root, name)
  }

  async #ready(): Promise<void> {
    this.#swept ??= sweepPlace(this.#root)
    try {
      await this.#swept
      await artifactFiles.mkdir(join(this.#root, PLACE))
    } catch (error) {
      this.#swept = undefined
      throw error
    }
  }

  /** Durable up to the root, and inside of it: a link to elsewhere is not followed. */
  async #makeDirectory(directory: string): Promise<void> {
    const isThere = (await stat(directory).catch(ifGone)) !== undefined
    if (!isThere) await artifactFiles.mkdir(directory)
    const [real, root] = await Promise.all([realpath(directory), realpath(this.#root)])
    if (real !== join(root, directory.slice(this.#root.length)))
      throw new KvError('InvalidKey', `${directory} leads out of the directory of the objects`)
    if (isThere) return
    for (let each = directory; each.length >= this.#root.length; each = dirname(each))
      await artifactFiles.syncDirectory(each)
  }

  /** Gives the draft its name, and its etag; undefined when the condition does not hold. */
  async #place(
    draft: string,
    path: string,
    name: string,
    hash: string | undefined,
    options: ObjectPutOptions,
  ): Promise<string | undefined> {
    const { condition } = options
    const etag = async (): Promise<string> => hash ?? (await etagAt(draft))!
    if (condition === 'absent') {
      const linked = await linkedInto(draft, path)
      if (linked !== undefined) return linked ? etag() : undefined
    }
    return withName(this.#root, name, options, async () => {
      const there = await lstat(path, { bigint: true }).catch(ifGone)
      if (condition === 'absent' && there !== undefined) return undefined
      if (typeof condition === 'object' && (await etagAt(path)) !== condition.etag) return undefined
      if (there !== undefined) await makeYounger(draft, there.mtimeMs)
      const placed = await etag()
      await artifactFiles.rename(draft, path)
      return placed
    })
  }

  async *#walk(
    within: string,
    prefix: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ListedObject, void, undefined> {
    signal?.throwIfAborted()
    const entries = await readdir(join(this.#root, within), { withFileTypes: true }).catch(
      (error: unknown) => {
        if (GONE.has(systemCode(error) ?? '')) return []
        throw asIo(error, 'listing', join(this.#root, within), signal)
      },
    )
    for (const entry of entries) {
      const name = within + entry.name
      if (name === PLACE) continue
      if (entry.isDirectory() && (name.startsWith(prefix) || prefix.startsWith(`${name}/`)))
        yield* this.#walk(`${name}/`, prefix, signal)
      if (!entry.isFile() || !name.startsWith(prefix)) continue
      const facts = await lstat(join(this.#root, name)).catch(ifGone)
      if (facts !== undefined) yield { name, size: facts.size, modifiedMs: facts.mtimeMs }
    }
  }
}

/** Whether the path was free; undefined where the file system has no links. */
async function linkedInto(draft: string, path: string): Promise<boolean | undefined> {
  try {
    await artifactFiles.link(draft, path)
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    if (['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes(systemCode(error) ?? '')) return undefined
    throw error
  }
}

async function openObject(path: string): Promise<{ handle: FileHandle; size: number } | undefined> {
  return openUntrusted(path).catch((error: unknown) => {
    if (GONE.has(systemCode(error) ?? '')) return undefined
    throw asIo(error, 'opening', path)
  })
}

async function etagAt(path: string): Promise<string | undefined> {
  const opened = await openObject(path)
  if (opened === undefined) return undefined
  const { handle, size } = opened
  try {
    return size > MOST_HASHED_BYTES
      ? await etagOfFile(handle)
      : etagOfBytes(await readWhole(handle, path, size))
  } finally {
    await handle.close()
  }
}

/** Gives the etag of what is small enough to be hashed. */
async function writeDraft(
  draft: string,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const handle = await open(draft, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    let position = 0
    for await (const piece of piecesOf(body, signal)) {
      signal?.throwIfAborted()
      for (let at = 0; at < piece.length;) {
        const { bytesWritten } = await handle.write(piece, at, piece.length - at, position)
        at += bytesWritten
        position += bytesWritten
      }
    }
    signal?.throwIfAborted()
    await handle.sync()
    return position > MOST_HASHED_BYTES ? undefined : etagOfBytes(await readWhole(handle, draft, position))
  } finally {
    await handle.close()
  }
}

/** So that two files that follow each other never have the same time, however coarse the clock. */
async function makeYounger(draft: string, thanMs: bigint): Promise<void> {
  const facts = await stat(draft, { bigint: true })
  if (facts.mtimeMs > thanMs) return
  const younger = new Date(Number(thanMs) + 2)
  await utimes(draft, younger, younger)
}

async function readWhole(handle: FileHandle, path: string, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size)
  for (let filled = 0; filled < size;) {
    const { bytesRead } = await handle.read(bytes, filled, size - filled, filled)
    if (bytesRead === 0) throw shorter(path)
    filled += bytesRead
  }
  return bytes
}

function bodyOfFile(
  handle: FileHandle,
  path: string,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  let left = end - start
  const from = {
    read: (into: Uint8Array, offset: number, length: number, position: number) =>
      handle.read(into, offset, Math.min(length, Math.max(0, end - start - position)), start + position),
  }
  const stretches = readStretches(from, STRETCH_BYTES)
  return bodyOf(
    async () => {
      signal?.throwIfAborted()
      try {
        const { done, value } = await stretches.next()
        if (done === true && left > 0) throw shorter(path)
        if (done === true) return undefined
        left -= value.length
        return value
      } catch (error) {
        throw asIo(error, 'reading', path, signal)
      }
    },
    async () => {
      await stretches.return(undefined)
      await handle.close()
    },
  )
}

function shorter(path: string): KvError {
  return new KvError('Unreachable', `${path} became shorter while it was read`)
}

function ifGone(error: unknown): undefined {
  if (!GONE.has(systemCode(error) ?? '')) throw error
}

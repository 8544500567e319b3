import callbackFiles, { constants } from 'node:fs'
import files from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { promisify } from 'node:util'
import type { Inode } from '../disk/inode.ts'
import { type SimDisk, systemError } from '../disk/sim-disk.ts'
import { activeWorld } from '../world/active-world.ts'
import type { World } from '../world/world.ts'
import { readProc } from './process-identity.ts'
import { isRealFile, REAL_CALLS, RealFiles } from './real-files.ts'

/** Of the disk's one directory, above any that the system gives. */
const DIRECTORY_DESCRIPTOR = 2 ** 30

type AnyCall = (...args: never[]) => unknown

const disks = new WeakMap<World, SimDisk>()
const realFiles = new WeakMap<World, RealFiles>()

/** Makes `disk` what the file system of `world` has at the disk's path. */
export function mount(world: World, disk: SimDisk): void {
  disks.set(world, disk)
  realFiles.set(world, new RealFiles(world, disk))
}

/** An open file of the simulated disk, with the calls of Node's FileHandle that the product makes. */
class SimHandle {
  readonly #disk: SimDisk
  readonly #name: string
  readonly #file: Inode

  constructor(disk: SimDisk, name: string, file: Inode) {
    this.#disk = disk
    this.#name = name
    this.#file = file
  }

  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesRead: number; buffer: Uint8Array }> {
    return this.#disk.perform('read', this.#name, () => {
      const taken = this.#disk.shortened(length, this.#disk.faults.shortRead)
      return { bytesRead: this.#file.read(buffer.subarray(offset, offset + taken), position), buffer }
    })
  }

  write(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesWritten: number; buffer: Uint8Array }> {
    const bytes = buffer.slice(offset, offset + length)
    return this.#disk.perform('write', `${this.#name} ${length}@${position}`, () => ({
      bytesWritten: this.#disk.write(this.#file, bytes, position),
      buffer,
    }))
  }

  truncate(length: number): Promise<void> {
    return this.#disk.perform('truncate', `${this.#name} ${length}`, () =>
      this.#disk.truncate(this.#file, length),
    )
  }

  async datasync(): Promise<void> {
    try {
      await this.#disk.perform('sync', this.#name, () => this.#disk.sync(this.#file))
    } catch (error) {
      if (this.#disk.chance(this.#disk.faults.syncDrops)) this.#file.dropUnsynced()
      throw error
    }
  }

  sync(): Promise<void> {
    return this.datasync()
  }

  stat(): Promise<unknown> {
    return this.#disk.perform('stat', this.#name, () => this.#disk.facts(this.#file))
  }

  utimes(_accessed: Date, modified: Date): Promise<void> {
    return this.#disk.perform('stat', this.#name, () => {
      this.#file.mtimeMs = modified.getTime()
    })
  }

  close(): Promise<void> {
    return this.#disk.perform('close', this.#name, () => undefined)
  }
}

const DIRECTORY_HANDLE = { fd: DIRECTORY_DESCRIPTOR, close: async (): Promise<void> => undefined }

/** Makes the file calls of the product go to the active world's disk; `/proc` is the world's too. */
export function installFiles(): void {
  const real = { ...files }
  const inWorld =
    <Args extends unknown[], R>(
      whenReal: (...args: Args) => Promise<R>,
      simulated: (disk: SimDisk, ...args: Args) => Promise<unknown>,
    ) =>
    (...args: Args): Promise<unknown> => {
      const world = activeWorld()
      return world === undefined ? whenReal(...args) : simulated(disks.get(world)!, ...args)
    }
  refuseTheRest()
  Object.assign(files, {
    open: inWorld(real.open, async (disk, path, flags) => {
      const name = nameOn(disk, path)
      if (name === undefined) return DIRECTORY_HANDLE
      const creates = (Number(flags) & constants.O_CREAT) !== 0
      return disk.perform('open', name, () => {
        const file = creates ? disk.create(name) : disk.find(name)
        return new SimHandle(disk, name, file)
      })
    }),
    rename: inWorld(real.rename, async (disk, from, to) => {
      const [source, target] = [nameOn(disk, from)!, nameOn(disk, to)!]
      return disk.perform('rename', `${source} ${target}`, () => disk.rename(source, target))
    }),
    link: inWorld(real.link, async (disk, from, to) => {
      const [source, target] = [nameOn(disk, from)!, nameOn(disk, to)!]
      return disk.perform('link', `${source} ${target}`, () => disk.link(source, target))
    }),
    unlink: inWorld(real.unlink, async (disk, path) => {
      const name = nameOn(disk, path)!
      return disk.perform('unlink', name, () => disk.unlink(name))
    }),
    stat: inWorld<[string], unknown>(real.stat as never, statOn),
    lstat: inWorld<[string], unknown>(real.lstat as never, statOn),
    readFile: inWorld<[string], unknown>(real.readFile as never, async (disk, path) => {
      if (path.startsWith('/proc/')) return procText(path)
      const name = nameOn(disk, path)!
      return disk.perform('read', name, () => {
        const file = disk.find(name)
        const bytes = Buffer.alloc(file.size)
        file.read(bytes, 0)
        return bytes
      })
    }),
    readlink: inWorld<[string], unknown>(real.readlink as never, async (_disk, path) => procText(path)),
    readdir: inWorld<[string], unknown>(real.readdir as never, async (disk, path) => {
      if (nameOn(disk, path) !== undefined) throw systemError('ENOTDIR', 'scandir')
      return disk.perform('stat', '.', () => disk.directory.names)
    }),
    realpath: inWorld<[string], unknown>(real.realpath as never, async (disk, path) => {
      const name = nameOn(disk, path)
      return disk.perform('stat', name ?? '.', () => {
        if (name !== undefined) disk.find(name)
        return path
      })
    }),
    mkdir: inWorld<[string], unknown>(real.mkdir as never, async (disk, path) => {
      nameOn(disk, path)
    }),
  })
  routeRealFiles()
  installSync()
}

/** Calls for real files go there, the others where they went. */
function routeRealFiles(): void {
  for (const name of REAL_CALLS) {
    const simulated = files[name] as (...args: unknown[]) => unknown
    const routed = (path: string, ...rest: unknown[]): unknown => {
      const world = activeWorld()
      if (world === undefined || !isRealFile(disks.get(world)!, path)) return simulated(path, ...rest)
      return Reflect.apply(realFiles.get(world)!.calls[name], undefined, [path, ...rest])
    }
    Object.assign(files, { [name]: routed })
  }
}

/** A directory is synced by its descriptor, through a promise. */
function installSync(): void {
  const { fsync, fdatasync } = callbackFiles
  const [sync, dataSync] = [promisify(fsync), promisify(fdatasync)]
  const whenReal = (name: string, real: AnyCall, promised: AnyCall): AnyCall =>
    Object.assign(refusing(name, real), { [promisify.custom]: promised })
  Object.assign(callbackFiles, {
    fsync: whenReal('fsync', fsync, async (descriptor: number): Promise<void> => {
      const world = activeWorld()
      if (world === undefined) return await sync(descriptor)
      const disk = disks.get(world)!
      if (descriptor === DIRECTORY_DESCRIPTOR)
        await disk.perform('syncDirectory', '.', () => disk.directory.sync())
      else await realFiles.get(world)!.sync(descriptor, 'syncDirectory')
    }),
    fdatasync: whenReal('fdatasync', fdatasync, async (descriptor: number): Promise<void> => {
      const world = activeWorld()
      if (world === undefined) await dataSync(descriptor)
      else await realFiles.get(world)!.sync(descriptor, 'sync')
    }),
  })
}

/** What is not simulated must not get to the real disk. */
function refuseTheRest(): void {
  for (const [name, real] of Object.entries(files) as [string, unknown][])
    if (typeof real === 'function') Object.assign(files, { [name]: refusing(name, real as AnyCall) })
}

function refusing(name: string, real: AnyCall): AnyCall {
  return (...args) => {
    if (activeWorld() !== undefined) throw new Error(`the simulated disk has no ${name}()`)
    return Reflect.apply(real, files, args)
  }
}

/** The name of a file in the disk's one directory; undefined for the directory itself. */
function nameOn(disk: SimDisk, path: unknown): string | undefined {
  const text = String(path)
  if (text === disk.path) return undefined
  if (dirname(text) !== disk.path) throw new Error(`the product looked outside the simulated disk: ${text}`)
  return basename(text)
}

async function statOn(disk: SimDisk, path: string): Promise<unknown> {
  const name = nameOn(disk, path)
  return disk.perform('stat', name ?? '.', () =>
    disk.facts(name === undefined ? disk.directory : disk.find(name)),
  )
}

async function procText(path: string): Promise<string> {
  const text = readProc(path)
  if (text === undefined) throw systemError('ENOENT', 'open')
  return text
}

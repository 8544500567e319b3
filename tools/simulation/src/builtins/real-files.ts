import callbackFiles, { type PathLike } from 'node:fs'
import { relative, sep } from 'node:path'
import type { DiskCall } from '../disk/disk-faults.ts'
import type { SimDisk } from '../disk/sim-disk.ts'
import { currentProcess } from '../world/active-world.ts'
import type { World } from '../world/world.ts'

const {
  accessSync,
  closeSync,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} = callbackFiles

/** The directory of a fold, and what it is called when it was set aside or is not ready yet. */
const FOLD_NAMES = /^fold(\.damaged-[^/]*|\.adopting)?$/

/** The calls of `node:fs/promises` there are for real files. */
export const REAL_CALLS = [
  'open',
  'mkdir',
  'readdir',
  'readFile',
  'writeFile',
  'realpath',
  'stat',
  'access',
  'rename',
  'copyFile',
  'rm',
] as const
type RealCall = (typeof REAL_CALLS)[number]

/** Whether a path on a disk is of a real file: those that the native half of a store opens by itself. */
export function isRealFile(disk: SimDisk, path: string): boolean {
  const [first = ''] = relative(disk.path, path).split(sep)
  return FOLD_NAMES.test(first)
}

/**
 * Real files, each call one step of the world: it takes its time, may fail, and is made or not when its
 * process dies. What was written stays when the power goes: the system's own memory is not simulated.
 */
export class RealFiles {
  readonly #world: World
  readonly #disk: SimDisk
  readonly #open = new Map<number, string>()

  constructor(world: World, disk: SimDisk) {
    this.#world = world
    this.#disk = disk
  }

  async sync(descriptor: number, call: 'sync' | 'syncDirectory'): Promise<void> {
    const path = this.#open.get(descriptor)
    if (path === undefined) throw new Error(`the simulated disk has no descriptor ${descriptor}`)
    await this.perform(call, path, () => undefined)
  }

  readonly calls: Readonly<Record<RealCall, (path: string, ...rest: never[]) => Promise<unknown>>> = {
    open: async (path: string, flags?: string | number, mode?: number) =>
      this.perform('open', path, () => this.#handle(path, openSync(path, flags ?? 'r', mode))),
    mkdir: async (path: string, options?: object) =>
      this.perform('open', path, () => mkdirSync(path, options)),
    readdir: async (path: string) => this.perform('stat', path, () => readdirSync(path).sort()),
    readFile: async (path: string, encoding?: BufferEncoding) =>
      this.perform('read', path, () => readFileSync(path, encoding)),
    writeFile: async (path: string, data: string, options?: object) =>
      this.perform('write', path, () => writeFileSync(path, data, options)),
    realpath: async (path: string) => this.perform('stat', path, () => realpathSync(path)),
    stat: async (path: string) => this.perform('stat', path, () => statSync(path)),
    access: async (path: string, mode?: number) => this.perform('stat', path, () => accessSync(path, mode)),
    rename: async (from: string, to: string) => this.perform('rename', from, () => renameSync(from, to)),
    copyFile: async (from: string, to: string) => this.perform('write', to, () => copyFileSync(from, to)),
    rm: async (path: string, options?: object) => this.perform('unlink', path, () => rmSync(path, options)),
  }

  async perform<T>(call: DiskCall, path: PathLike, effect: () => T): Promise<T> {
    return this.#disk.perform(call, relative(this.#disk.path, String(path)), effect)
  }

  #handle(path: string, descriptor: number): RealHandle {
    this.#open.set(descriptor, path)
    const close = (): void => {
      if (this.#open.delete(descriptor)) closeSync(descriptor)
    }
    currentProcess(this.#world).onExit(close)
    return new RealHandle(this, { path, descriptor, close })
  }
}

/** An open real file, with the calls of Node's FileHandle that the product makes. */
class RealHandle {
  readonly fd: number
  readonly #files: RealFiles
  readonly #path: string
  readonly #close: () => void

  constructor(
    files: RealFiles,
    file: { readonly path: string; readonly descriptor: number; readonly close: () => void },
  ) {
    this.#files = files
    this.fd = file.descriptor
    this.#path = file.path
    this.#close = file.close
  }

  async read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesRead: number; buffer: Uint8Array }> {
    return this.#perform('read', () => ({
      bytesRead: readSync(this.fd, buffer, offset, length, position),
      buffer,
    }))
  }

  async writeFile(data: string | Uint8Array): Promise<void> {
    const bytes = Buffer.from(data)
    await this.#perform('write', () => {
      ftruncateSync(this.fd)
      writeSync(this.fd, bytes, 0, bytes.length, 0)
    })
  }

  async stat(): Promise<callbackFiles.Stats> {
    return this.#perform('stat', () => fstatSync(this.fd))
  }

  async close(): Promise<void> {
    await this.#perform('close', this.#close)
  }

  async #perform<T>(call: DiskCall, effect: () => T): Promise<T> {
    return this.#files.perform(call, this.#path, effect)
  }
}

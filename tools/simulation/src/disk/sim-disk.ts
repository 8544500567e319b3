import type { Random } from '../world/random.ts'
import type { World } from '../world/world.ts'
import { Directory } from './directory.ts'
import { type DiskCall, type DiskFaults, HEALTHY_DISK } from './disk-faults.ts'
import { Inode } from './inode.ts'

const DIRECTORY_DEVICE = 1

export interface Facts {
  readonly size: number
  readonly ino: number
  readonly dev: number
  readonly mtimeMs: number
  isDirectory(): boolean
}

/** A machine's disk with one directory, in memory. Every call takes time and may fail; a lost power supply loses what was not synced. */
export class SimDisk {
  readonly path: string
  faults: DiskFaults = HEALTHY_DISK
  /** Bytes that still fit; Infinity while the disk is not nearly full. */
  freeBytes: number = Infinity
  /** A sync answers and does nothing. */
  forgetsSync: boolean = false
  readonly #world: World
  readonly #random: Random
  readonly #crashes: Random
  #directory: Directory
  #inodes = 2

  constructor(world: World, path: string) {
    this.#world = world
    this.path = path
    this.#random = world.random('disk')
    this.#crashes = world.random('crashes')
    this.#directory = new Directory(1)
  }

  get directory(): Directory {
    return this.#directory
  }

  /** Does `effect` once the call has taken its time, or fails; at the death of its process perhaps all the same. */
  perform<T>(call: DiskCall, what: string, effect: () => T): Promise<T> {
    const { scheduler } = this.#world
    return new Promise((resolve, reject) => {
      scheduler.post(
        scheduler.current,
        'completion',
        `disk ${call} ${what}`,
        this.#latencyMs(),
        () => {
          try {
            if (this.#random.chance(this.faults.fails[call] ?? 0)) throw systemError('EIO', call)
            resolve(effect())
          } catch (error) {
            this.#world.trace.note(`disk ${call} failed: ${String((error as { code?: unknown }).code)}`)
            reject(error)
          }
        },
        () => {
          if (!this.#random.chance(0.5)) return
          try {
            effect()
          } catch {
            // Nobody is left to hear of it.
          }
        },
      )
    })
  }

  shortened(length: number, chance: number): number {
    return length > 1 && this.#random.chance(chance) ? 1 + this.#random.below(length - 1) : length
  }

  chance(probability: number): boolean {
    return this.#random.chance(probability)
  }

  /** The log the world is about, unless it is not there. */
  find(name: string): Inode {
    const found = this.#directory.find(name)
    if (found === undefined) throw systemError('ENOENT', 'open')
    return found
  }

  create(name: string): Inode {
    if (this.#directory.find(name) !== undefined) throw systemError('EEXIST', 'open')
    if (this.freeBytes <= 0) throw systemError('ENOSPC', 'open')
    const file = new Inode(this.#inodes++, this.#nowMs())
    this.#directory.change(new Map([[name, file]]))
    return file
  }

  rename(from: string, to: string): void {
    const file = this.find(from)
    this.#free(this.#directory.find(to))
    this.#directory.change(
      new Map([
        [to, file],
        [from, undefined],
      ]),
    )
  }

  link(from: string, to: string): void {
    const taken = this.#directory.find(to) !== undefined && this.#world.host.namesAreTaken
    if (taken) throw systemError('EEXIST', 'link')
    this.#directory.change(new Map([[to, this.find(from)]]))
  }

  unlink(name: string): void {
    const file = this.find(name)
    this.#directory.change(new Map([[name, undefined]]))
    this.#free(file)
  }

  /** Takes what fits; ENOSPC when nothing does. */
  write(file: Inode, bytes: Uint8Array, at: number): number {
    const overwritten = Math.max(0, Math.min(bytes.length, file.size - at))
    const room = Math.min(bytes.length, overwritten + this.freeBytes)
    if (room <= 0) throw systemError('ENOSPC', 'write')
    const taken = this.shortened(room, this.faults.shortWrite)
    file.write(bytes.subarray(0, taken), at)
    file.mtimeMs = this.#nowMs()
    this.freeBytes -= Math.max(0, taken - overwritten)
    return taken
  }

  sync(file: Inode): void {
    if (!this.forgetsSync) file.sync()
  }

  truncate(file: Inode, length: number): void {
    this.freeBytes += Math.max(0, file.size - length)
    file.truncate(length)
  }

  facts(file: Inode | Directory): Facts {
    const isDirectory = file instanceof Directory
    return {
      size: isDirectory ? 0 : file.size,
      ino: file.ino,
      // What one process remembers of a file no other may know, and they all share this memory.
      dev: isDirectory ? DIRECTORY_DEVICE : deviceOf(this.#world),
      mtimeMs: isDirectory ? 0 : file.mtimeMs,
      isDirectory: () => isDirectory,
    }
  }

  /** The power is gone: what was not synced is lost, in part or as a whole. Processes must be dead. */
  crash(): void {
    this.#directory.crash(this.#crashes)
  }

  /** One bit of a file turns, at or after `from`. */
  flipBit(name: string, from: number): boolean {
    return this.#directory.find(name)?.flipBit(this.#crashes, from) ?? false
  }

  #free(file: Inode | undefined): void {
    if (file !== undefined) this.freeBytes += file.size
  }

  #nowMs(): number {
    return this.#world.timeMs + this.#world.scheduler.current.host.clockOffsetMs
  }

  #latencyMs(): number {
    const { latencyMs, slow } = this.faults
    return this.#random.around(latencyMs) * (this.#random.chance(slow) ? 1000 : 1)
  }
}

let devices = 10
const deviceOfProcess = new WeakMap<object, number>()

function deviceOf(world: World): number {
  const owner = world.scheduler.current
  let device = deviceOfProcess.get(owner)
  if (device === undefined) deviceOfProcess.set(owner, (device = devices++))
  return device
}

export function systemError(code: string, call: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${call}`), { code, syscall: call })
}

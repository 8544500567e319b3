import type { Random } from '../world/random.ts'

/** What happened to a file and is not known to be on the disk. */
type Change =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly length: number }

/** The smallest piece of a write that reaches a disk as a whole. */
const SECTOR_BYTES = 512

/** How a machine that lost power left the changes that were never synced. */
type LossMode = 'none' | 'all' | 'prefix' | 'scattered'

const LOSS_MODES: readonly LossMode[] = ['none', 'all', 'prefix', 'prefix', 'scattered']

/** One file: its bytes as programs see them, as the disk has them, and what lies between. */
export class Inode {
  readonly ino: number
  mtimeMs: number
  /** Whether a sync that failed dropped what it should have written: what is seen is not what is kept. */
  hasLost: boolean = false
  #seen: Content = new Content()
  #kept: Content = new Content()
  #unsynced: Change[] = []

  constructor(ino: number, mtimeMs: number) {
    this.ino = ino
    this.mtimeMs = mtimeMs
  }

  get size(): number {
    return this.#seen.size
  }

  /** Copies into `target`; fewer bytes at the end of the file. */
  read(target: Uint8Array, at: number): number {
    const bytes = this.#seen.bytes.subarray(at, Math.min(this.#seen.size, at + target.length))
    target.set(bytes)
    return bytes.length
  }

  write(bytes: Uint8Array, at: number): void {
    const copy = bytes.slice()
    this.#seen.write(copy, at)
    this.#unsynced.push({ kind: 'write', at, bytes: copy })
  }

  truncate(length: number): void {
    this.#seen.truncate(length)
    this.#unsynced.push({ kind: 'truncate', length })
  }

  /** Everything so far is on the disk. */
  sync(): void {
    for (const change of this.#unsynced) this.#kept.make(change)
    this.#unsynced = []
  }

  /** A sync failed: what it should have written counts as written, and is nowhere. */
  dropUnsynced(): void {
    for (const change of this.#unsynced) {
      if (change.kind === 'truncate') this.#kept.make(change)
      else this.hasLost = true
    }
    this.#unsynced = []
  }

  /** The power is gone. */
  crash(random: Random): void {
    const mode = random.pick(LOSS_MODES)
    const made = mode === 'none' ? 0 : mode === 'prefix' ? random.below(this.#unsynced.length + 1) : Infinity
    this.#unsynced.forEach((change, i) => {
      if (i < made) this.#kept.make(change, mode === 'scattered' ? random : undefined)
      // The write under way when the power went got through in part.
      else if (i === made && change.kind === 'write' && mode === 'prefix')
        this.#kept.write(change.bytes.subarray(0, random.below(change.bytes.length + 1)), change.at)
    })
    this.#unsynced = []
    this.hasLost = false
    this.#seen = this.#kept.clone()
  }

  /** One bit at or after `from` turns; false in a file that has none. */
  flipBit(random: Random, from: number): boolean {
    if (this.#seen.size <= from) return false
    const at = random.between(from, this.#seen.size - 1)
    const mask = 1 << random.below(8)
    for (const content of [this.#seen, this.#kept]) if (at < content.size) content.bytes[at]! ^= mask
    return true
  }
}

/** Bytes that can grow. */
class Content {
  bytes: Uint8Array = new Uint8Array(256)
  size = 0

  make(change: Change, losing?: Random): void {
    if (change.kind === 'write') this.write(change.bytes, change.at, losing)
    // A file system writes its journal in order: a size is lost only with everything after it.
    else this.truncate(change.length)
  }

  write(bytes: Uint8Array, at: number, losing?: Random): void {
    const end = at + bytes.length
    this.#reach(end)
    if (losing === undefined) {
      this.bytes.set(bytes, at)
      return
    }
    for (let from = at; from < end;) {
      const to = Math.min(end, from - (from % SECTOR_BYTES) + SECTOR_BYTES)
      if (losing.chance(0.5)) this.bytes.set(bytes.subarray(from - at, to - at), from)
      from = to
    }
  }

  truncate(length: number): void {
    if (length < this.size) this.bytes.fill(0, length, this.size)
    else this.#reach(length)
    this.size = length
  }

  clone(): Content {
    const copy = new Content()
    copy.bytes = this.bytes.slice()
    copy.size = this.size
    return copy
  }

  #reach(end: number): void {
    if (end > this.bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.bytes.length * 2))
      larger.set(this.bytes)
      this.bytes = larger
    }
    this.size = Math.max(this.size, end)
  }
}

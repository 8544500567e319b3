import type { Random } from '../world/random.ts'
import type { Inode } from './inode.ts'

/** One step of a directory, whole or not at all: a rename gives one name and takes another. */
type NameChange = ReadonlyMap<string, Inode | undefined>

/** Names of files, as programs see them and as the disk has them. */
export class Directory {
  readonly ino: number
  #seen = new Map<string, Inode>()
  readonly #kept = new Map<string, Inode>()
  #unsynced: NameChange[] = []

  constructor(ino: number) {
    this.ino = ino
  }

  get names(): readonly string[] {
    return [...this.#seen.keys()]
  }

  get files(): Iterable<Inode> {
    return this.#seen.values()
  }

  find(name: string): Inode | undefined {
    return this.#seen.get(name)
  }

  change(names: NameChange): void {
    apply(this.#seen, names)
    this.#unsynced.push(names)
  }

  sync(): void {
    for (const names of this.#unsynced) apply(this.#kept, names)
    this.#unsynced = []
  }

  /** The power is gone: a journal keeps a beginning of what was not synced, other file systems any part. */
  crash(random: Random): void {
    const inOrder = random.chance(0.7)
    const kept = random.below(this.#unsynced.length + 1)
    this.#unsynced.forEach((names, i) => {
      if (inOrder ? i < kept : random.chance(0.5)) apply(this.#kept, names)
    })
    this.#unsynced = []
    this.#seen = new Map(this.#kept)
    for (const file of new Set(this.#seen.values())) file.crash(random)
  }
}

function apply(to: Map<string, Inode>, names: NameChange): void {
  for (const [name, file] of names) {
    if (file === undefined) to.delete(name)
    else to.set(name, file)
  }
}

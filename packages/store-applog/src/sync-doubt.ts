import { systemCode, type FileSystem } from '@slip/kv-core/store-parts'

const DOUBT_SUFFIX = '.doubtful'

/** Files of this process whose sync, or whose directory's, failed. */
const doubtful = new Set<string>()

/**
 * Whether a sync of a log failed since it was made or rewritten. The system drops what it could not
 * write, shows it to readers all the same, and reports later syncs as done: so no sync proves anything
 * any more. This process remembers by `identity`; the next is told by a file beside the log.
 */
export class SyncDoubt {
  readonly #files: FileSystem
  readonly #path: string
  readonly #identity: string

  /** `identity` tells the file from others, whatever name it has, unless it is `fresh`: then an earlier one had it. */
  constructor(files: FileSystem, path: string, identity: string, fresh: boolean) {
    if (fresh) doubtful.delete(identity)
    this.#files = files
    this.#path = `${path}${DOUBT_SUFFIX}`
    this.#identity = identity
  }

  /** True also when it cannot be found out. */
  async exists(): Promise<boolean> {
    if (doubtful.has(this.#identity)) return true
    try {
      await this.#files.stat(this.#path)
      return true
    } catch (error) {
      return systemCode(error) !== 'ENOENT'
    }
  }

  /** Where not even the file can be made only this process knows. Never rejects. */
  async remember(): Promise<void> {
    doubtful.add(this.#identity)
    try {
      const handle = await this.#files.open(this.#path, 'create')
      await handle.close()
    } catch {
      // It is there already, or the disk takes nothing any more.
    }
  }

  /** The log was written anew. Never rejects: a doubt that stays costs one more rewrite. */
  async forget(): Promise<void> {
    doubtful.delete(this.#identity)
    await this.#files.unlink(this.#path).catch(() => undefined)
  }
}

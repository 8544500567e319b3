import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { decodeManifest, downloadArtifact, importSnapshot, type Manifest } from '@slip/export'
import { KvError, type ObjectStore } from '@slip/kv-core'
import { appendLog } from '@slip/store-applog'

const LOOK_EVERY_MS = 25
const READ_WITHIN_MS = 3_000
const MOST_READS = 5

/** One artifact the pointer was seen to name. */
export interface Pointed {
  readonly atMs: number
  readonly revision: bigint
  readonly incarnation: string
}

export interface WatchedName {
  readonly objects: ObjectStore
  readonly name: string
  /** What an artifact has to hold, as `key value revision`. */
  readonly truth: (pointed: Pointed) => Promise<Set<string>>
  /** A directory for what is fetched. */
  readonly scratch: string
}

/**
 * Looks at what is published under a name, all the time: the pointer is there once it was, does not go back
 * in (history, revision), and what it names can be fetched, is what its digests say, and holds what the bucket was
 * at its revision.
 */
export class PointerWatch {
  /** Each artifact that the pointer named, in order. */
  readonly pointed: Pointed[] = []
  /** How often a published artifact was fetched whole. */
  fetched = 0
  /** How often the pointer was replaced while it was read. */
  reread = 0
  readonly #watched: WatchedName
  readonly #over = new AbortController()
  readonly #running: Promise<void>
  #bytes: Buffer | undefined
  #checked: Pointed | undefined

  constructor(watched: WatchedName) {
    this.#watched = watched
    this.#running = this.#run()
    this.#running.catch(() => undefined)
  }

  get last(): Pointed | undefined {
    return this.pointed.at(-1)
  }

  /** Resolves when the pointer has come to a revision; rejects with what was seen wrong. */
  async until(wanted: (pointed: Pointed) => boolean, timeoutMs: number): Promise<Pointed> {
    const until = performance.now() + timeoutMs
    for (;;) {
      await Promise.race([this.#running, wait(LOOK_EVERY_MS)])
      const found = this.pointed.find(wanted)
      if (found !== undefined) return found
      if (performance.now() > until)
        throw new Error(`no such pointer within ${timeoutMs} ms; the last is ${String(this.last?.revision)}`)
    }
  }

  /** Rejects with what was seen wrong. */
  async stop(): Promise<void> {
    this.#over.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#over.signal.aborted) {
      await this.#look()
      await wait(LOOK_EVERY_MS)
    }
  }

  async #look(): Promise<void> {
    const { objects, name, scratch } = this.#watched
    const bytes = await this.#pointer()
    if (bytes === undefined) {
      if (this.last !== undefined) throw new Error('the pointer is gone')
      return
    }
    if (this.#bytes?.equals(bytes) !== true) this.#moved(decodeManifest(bytes))
    this.#bytes = bytes
    const directory = join(scratch, 'watched')
    const manifest = await downloadArtifact(objects, name, directory)
    if (manifest === undefined) throw new Error('the pointer is gone')
    this.fetched++
    await this.#check(manifest, directory)
    await rm(directory, { recursive: true })
  }

  /** As everybody reads it: a pointer that was replaced while it was read is read again. */
  async #pointer(): Promise<Buffer | undefined> {
    const { objects, name } = this.#watched
    for (let attempt = 1; ; attempt++) {
      try {
        const found = await objects.get(`${name}.manifest.json`, { timeoutMs: READ_WITHIN_MS })
        if (found === undefined) return undefined
        const pieces: Uint8Array[] = []
        for await (const piece of found.body) pieces.push(piece)
        return Buffer.concat(pieces)
      } catch (error) {
        if (!KvError.is(error) || attempt === MOST_READS) throw error
        this.reread++
      }
    }
  }

  #moved(manifest: Manifest): void {
    const next = pointedBy(manifest)
    const { last } = this
    if (last !== undefined && !isNoEarlier(next, last))
      throw new Error(
        `the pointer went back from ${last.incarnation} ${last.revision} to ${next.incarnation} ${next.revision}`,
      )
    this.pointed.push(next)
  }

  async #check(manifest: Manifest, directory: string): Promise<void> {
    const next = pointedBy(manifest)
    const { last } = this
    if (last !== undefined && !isNoEarlier(next, last))
      throw new Error(`revision ${next.revision} was fetched behind a pointer to ${last.revision}`)
    const checked = this.#checked
    if (checked?.revision === next.revision && checked.incarnation === next.incarnation) return
    this.#checked = next
    const path = join(this.#watched.scratch, 'fold')
    const into = appendLog({ path })
    await importSnapshot(directory, into, { scratchDirectory: this.#watched.scratch })
    const fold = await into.open()
    const held = [...fold.entries()].map(
      ({ key, value, version }) => `${key} ${Buffer.from(value).toString()} ${version.revision}`,
    )
    await fold.close()
    await rm(path)
    const truth = await this.#watched.truth(next)
    const wrong = held.filter((each) => !truth.has(each))
    if (held.length !== truth.size || wrong.length > 0)
      throw new Error(
        `the artifact at ${next.revision} has ${held.length} entries, ${wrong.length} of them wrong; the bucket had ${truth.size}`,
      )
  }
}

function pointedBy({ cursor, binding }: Manifest): Pointed {
  return {
    atMs: performance.now(),
    revision: cursor.revision ?? 0n,
    incarnation: binding?.incarnation ?? '',
  }
}

/** Histories of a bucket are named by when they began. */
function isNoEarlier(next: Pointed, last: Pointed): boolean {
  if (next.incarnation === last.incarnation) return next.revision >= last.revision
  return Date.parse(next.incarnation.slice(0, 30)) > Date.parse(last.incarnation.slice(0, 30))
}

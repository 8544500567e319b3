import type { ListedObject, ObjectStore } from '@slip/kv-core'
import { pruneArtifacts, type PruneOptions } from '@slip/export'
import { GatedActor, type Call, type Objects } from './gated-objects.ts'
import { callOf, NAME, PARTS, PAYLOADS, POINTER, type PartsShelf } from './parts-shelf.ts'

/** What of a name somebody who prunes finds. */
interface View {
  readonly shows: (name: string) => boolean
  /** When an object was put. */
  readonly putMs: (name: string) => number
}

const AGED_MS = 10
/** Payloads are as young as the pointer, and all parts are old. */
const onlyParts = (parts: readonly string[]): View => ({
  shows: (name) => !name.startsWith(PARTS) || parts.includes(name.slice(PARTS.length)),
  putMs: (name) => (name.startsWith(PARTS) ? 0 : AGED_MS),
})

/** The code that prunes, over the objects of a replay. */
export class PartsPruning {
  readonly #shelf: PartsShelf
  readonly #objects: Objects
  readonly #slow: GatedActor

  constructor(shelf: PartsShelf, objects: Objects) {
    this.#shelf = shelf
    this.#objects = objects
    this.#slow = new GatedActor(objects, POINTER, callOf)
  }

  /** What the slow one waits for. */
  get call(): Call | undefined {
    return this.#slow.call
  }

  async abandon(): Promise<void> {
    await this.#slow.abandon()
  }

  /** Which parts go if somebody prunes now, and nothing else happens. */
  async deletable(): Promise<readonly number[]> {
    const there = [...this.#objects.keys()].filter((name) => name.startsWith(PARTS))
    const gone = await this.#atOnce(onlyParts(there.map((name) => name.slice(PARTS.length))), 1)
    return this.#shelf.names.flatMap((names, part) =>
      names.every((name) => gone.includes(PARTS + name)) ? [part] : [],
    )
  }

  /** Whether a payload goes if somebody prunes now. */
  async goes(artifact: number): Promise<boolean> {
    const { archive } = this.#shelf.artifacts.get(artifact)!
    const view = { shows: (name: string) => name === POINTER || name === archive, putMs: () => 0 }
    return (await this.#atOnce(view, 0)).includes(archive)
  }

  /** Begins to prune one part, up to the list of what the pointer names. */
  async begin(part: number): Promise<void> {
    const store = this.#over(this.#slow.store, onlyParts(this.#shelf.names[part]!), (name) =>
      this.#slow.store.delete(name),
    )
    await this.#slow.begin((signal) => pruneArtifacts(store, NAME, { graceMs: 1, signal }))
    await this.#slow.pass('pointer read')
  }

  async pass(call: Call): Promise<void> {
    await this.#slow.pass(call)
    if (this.#slow.failure !== undefined) throw this.#slow.failure
  }

  /** To the end, where nothing may be deleted. */
  async rest(): Promise<void> {
    while (this.call !== undefined) {
      if (this.call === 'part deleted') throw new Error(`${this.#slow.waitsFor} is about to be deleted`)
      await this.pass(this.call)
    }
  }

  /** The names that somebody would delete for whom all else stands still. */
  async #atOnce(view: View, graceMs: PruneOptions['graceMs']): Promise<readonly string[]> {
    const deleted: string[] = []
    const free = new GatedActor(this.#objects, POINTER, () => undefined)
    const store = this.#over(free.store, view, async (name) => void deleted.push(name))
    await pruneArtifacts(store, NAME, { graceMs })
    return deleted
  }

  #over(store: ObjectStore, view: View, remove: ObjectStore['delete']): ObjectStore {
    const places = [...this.#shelf.artifacts.values()].map(({ archive }) => archive)
    const list = async function* (this: PartsPruning, prefix: string): AsyncGenerator<ListedObject> {
      const names = [...this.#objects.keys()].filter((name) => name.startsWith(prefix) && view.shows(name))
      // In the order of the model.
      for (const name of names.sort((a, b) => places.indexOf(a) - places.indexOf(b)))
        yield { name, size: this.#objects.get(name)?.length ?? 0, modifiedMs: view.putMs(name) }
    }
    return {
      capabilities: store.capabilities,
      get: (name, options) => store.get(name, options),
      put: (name, body, options) => store.put(name, body, options),
      list: list.bind(this),
      delete: remove,
    }
  }
}

/** Whether a name is one of a payload. */
export const isArchive = (name: string): boolean => name.startsWith(PAYLOADS)

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeLineage, type ObjectStore, type PublishInput } from '@slip/kv-core'
import {
  downloadArtifact,
  importSnapshot,
  pruneArtifacts,
  publishArtifact,
  type DownloadOptions,
} from '@slip/export'
import type { ArtifactsShape, ArtifactsState } from '@slip/model'
import { appendLog } from '@slip/store-applog'
import { NAME, POINTER, type ShelvedArtifact } from './artifact-shelf.ts'
import { GatedActor, type Objects } from './gated-objects.ts'

/** What a model's state and the code can be compared by. */
export type FleetAbstraction = Readonly<Record<string, string | readonly string[]>>

const EMPTY = 0
const IMPORTED = 4
const LIVE = 5

/** The code that publishes, prunes, downloads and imports, over one store, driven by the steps of the artifacts model. */
export class ReplayFleet {
  readonly #shape: ArtifactsShape
  readonly #shelf: ReadonlyMap<number, ShelvedArtifact>
  readonly #root: string
  readonly #objects: Objects
  readonly #mayPrune: (state: ArtifactsState, artifact: number) => boolean
  readonly #publishers: readonly GatedActor[]
  readonly #newcomer: GatedActor
  #state: ArtifactsState
  /** What the newcomer wants. */
  #expected: NonNullable<DownloadOptions['expected']> = {}
  /** The pointer that somebody prunes by. */
  #pruning: Uint8Array | undefined

  /** `mayPrune`: whether the model lets a payload be pruned. */
  constructor(
    shape: ArtifactsShape,
    shelf: ReadonlyMap<number, ShelvedArtifact>,
    root: string,
    mayPrune: (state: ArtifactsState, artifact: number) => boolean,
  ) {
    this.#mayPrune = mayPrune
    this.#shape = shape
    this.#shelf = shelf
    this.#root = root
    this.#objects = new Map()
    this.#publishers = shape.publishers.map(() => new GatedActor(this.#objects, POINTER))
    this.#newcomer = new GatedActor(this.#objects, POINTER)
    this.#state = shape.layout.state()
  }

  /** Everything is as in the first state. */
  async reset(): Promise<void> {
    for (const actor of [...this.#publishers, this.#newcomer]) await actor.abandon()
    this.#objects.clear()
    this.#pruning = undefined
    this.#state = this.#shape.layout.state()
    await this.#removeDownloads()
  }

  async take(action: string, before: ArtifactsState, after: ArtifactsState): Promise<void> {
    this.#state = after
    const [, number, step] = /^p(\d) (.*)$/.exec(action) ?? []
    if (number !== undefined) await this.#publisher(Number(number), step!, before)
    else if (action === 'begin to prune') await this.#beginToPrune(after)
    else if (action.startsWith('prune ')) await this.#prune(action.slice('prune '.length))
    else if (action.startsWith('the newcomer ')) await this.#newcomerTakes(action, after)
  }

  abstraction(): FleetAbstraction {
    const pointer = this.#objects.get(POINTER)
    const shown = (found: (each: ShelvedArtifact) => boolean): string[] =>
      [...this.#shelf.values()].filter(found).map(({ value }) => value)
    return {
      ...Object.fromEntries(this.#publishers.map(({ call }, n) => [`p${n}`, call ?? ''])),
      newcomer: this.#newcomer.call ?? '',
      pointer: shown((each) => pointer !== undefined && Buffer.compare(each.pointer, pointer) === 0),
      payloads: shown(({ payload }) => this.#objects.has(payload)),
      objects: String(this.#objects.size),
    }
  }

  async #publisher(n: number, step: string, before: ArtifactsState): Promise<void> {
    const actor = this.#publishers[n]!
    const held = this.#shape.held(before, n)
    const isThere = before.seen.at(n) === held
    switch (step) {
      case 'exports': {
        const { directory } = this.#shelf.get(held)!
        const source = async (): Promise<PublishInput['source']> => {
          await actor.gate('source asked')
          const { era, head } = this.#state
          return { incarnation: this.#shape.incarnation(era), lastRevision: BigInt(head) }
        }
        await actor.begin((signal) => publishArtifact(directory, actor.store, NAME, { signal, source }))
        await actor.pass('pointer read')
        await actor.pass('source asked')
        break
      }
      case 'sends the payload':
        await actor.passAll('payload')
        break
      case 'reads the pointer':
        await actor.pass('pointer read')
        break
      case 'asks the source':
        await actor.pass('source asked')
        break
      case 'swaps the pointer':
        if (!isThere) await actor.pass('pointer moved')
        break
      case 'swaps the pointer, and does not hear of it':
        await actor.pass('pointer moved', 'lost')
        break
      case 'crashes':
        await actor.abandon()
        break
      default:
    }
  }

  /** What may be pruned by a pointer is asked of each payload by itself. */
  async #beginToPrune(after: ArtifactsState): Promise<void> {
    this.#pruning = this.#objects.get(POINTER)
    for (const [artifact, { payload, value }] of this.#shelf) {
      if (!this.#objects.has(payload)) continue
      const told = await this.#pruned(payload, async () => undefined)
      if (told !== (this.#mayPrune(after, artifact) ? 1 : 0)) throw new Error(`${value}: ${told} were pruned`)
    }
  }

  async #prune(value: string): Promise<void> {
    const found = [...this.#shelf.values()].find((each) => each.value === value)!
    const count = await this.#pruned(found.payload, async (name) => void this.#objects.delete(name))
    if (count !== 1) throw new Error(`${value} was not pruned`)
  }

  /** Prunes one payload by the pointer that was read before. */
  async #pruned(payload: string, remove: (name: string) => Promise<void>): Promise<number> {
    const view = new Map([[payload, this.#objects.get(payload)!]])
    if (this.#pruning !== undefined) view.set(POINTER, this.#pruning)
    const actor = new GatedActor(view, POINTER)
    const store: ObjectStore = {
      capabilities: actor.store.capabilities,
      get: (name, options) => actor.store.get(name, options),
      put: (name, body, options) => actor.store.put(name, body, options),
      list: (prefix) => actor.store.list(prefix),
      delete: remove,
    }
    let count = 0
    await actor.begin(async () => {
      count = await pruneArtifacts(store, NAME, { graceMs: 0 })
    })
    while (actor.call !== undefined) await actor.pass(actor.call)
    if (actor.failure !== undefined) throw actor.failure
    return count
  }

  async #newcomerTakes(action: string, after: ArtifactsState): Promise<void> {
    const actor = this.#newcomer
    switch (action) {
      case 'the newcomer reads the pointer':
        if (actor.call === undefined) {
          const incarnation =
            this.#shape.options.informed === true ? this.#shape.incarnation(after.era) : undefined
          this.#expected = { kind: 'model', name: 'bucket', scope: { prefixes: [''] }, incarnation }
          await actor.begin((signal) =>
            downloadArtifact(actor.store, NAME, this.#download, { signal, expected: this.#expected }),
          )
        }
        await actor.pass('pointer read')
        if ((after.newcomer === LIVE) !== (actor.failure !== undefined))
          throw new Error(`admitted otherwise: ${String(actor.failure)}`)
        break
      case 'the newcomer fetches':
        await actor.passAll('payload')
        if (actor.failure !== undefined) throw actor.failure
        break
      case 'the newcomer imports':
        await this.#import(after)
        break
      default:
        if (after.newcomer !== EMPTY && after.newcomer < LIVE) break
        await actor.abandon()
        await this.#removeDownloads()
    }
  }

  /** The fold has to be that of the artifact which the model says was got. */
  async #import({ newcomer, got }: ArtifactsState): Promise<void> {
    const expected = this.#expected
    const path = join(this.#root, 'imported')
    await rm(path, { force: true, recursive: true })
    await importSnapshot(this.#download, appendLog({ path }), { expected })
    const store = await appendLog({ path }).open()
    try {
      const { binding } = decodeLineage(store.lineage!)
      const found = {
        value: new TextDecoder().decode(store.get('key')?.value),
        revision: store.cursor.revision,
        incarnation: binding.incarnation,
      }
      const told = {
        value: this.#shape.show(got),
        revision: BigInt(this.#shape.cursorOf(got)),
        incarnation: this.#shape.stated(got),
      }
      const isTold = (Object.keys(told) as (keyof typeof told)[]).every((name) => found[name] === told[name])
      if (newcomer !== IMPORTED || !isTold) throw new Error(`${found.value} was imported, not ${told.value}`)
    } finally {
      await store.close()
    }
  }

  get #download(): string {
    return join(this.#root, 'download')
  }

  async #removeDownloads(): Promise<void> {
    for (const path of [this.#download, `${this.#download}.slip-download`])
      await rm(path, { force: true, recursive: true })
  }
}

import { readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { PublishInput } from '@slip/kv-core'
import { downloadArtifact, publishArtifact } from '@slip/export'
import type { PartsShape, PartsState } from '@slip/model'
import { GatedActor, type Call, type Objects } from './gated-objects.ts'
import { archivedList } from './parts-archived.ts'
import { PartsPruning } from './parts-pruner.ts'
import { callOf, NAME, PARTS, POINTER, type PartsShelf } from './parts-shelf.ts'

/** What a model's state and the code can be compared by. */
export type PartsAbstraction = Readonly<Record<string, string | readonly string[]>>

/** Phases of the model. */
export const LOOKED = 1
export const BROUGHT = 3
export const DONE = 9
const MISSED = 6
const MADE = 7

/** The code that publishes, prunes and downloads in parts, over one store, driven by the steps of the parts model. */
export class ReplayParts {
  readonly pruning: PartsPruning
  readonly #shape: PartsShape
  readonly #shelf: PartsShelf
  readonly #root: string
  readonly #objects: Objects = new Map()
  readonly #publishers: readonly GatedActor[]
  readonly #newcomer: GatedActor
  #state: PartsState

  constructor(shape: PartsShape, shelf: PartsShelf, root: string) {
    this.#shape = shape
    this.#shelf = shelf
    this.#root = root
    this.#publishers = shape.publishers.map(() => new GatedActor(this.#objects, POINTER, callOf))
    this.#newcomer = new GatedActor(this.#objects, POINTER, callOf)
    this.pruning = new PartsPruning(shelf, this.#objects)
    this.#state = shape.layout.state()
  }

  /** Everything is as in the first state. */
  async reset(): Promise<void> {
    for (const actor of [...this.#publishers, this.#newcomer, this.pruning]) await actor.abandon()
    this.#objects.clear()
    this.#state = this.#shape.layout.state()
    for (const path of ['previous', 'download', 'download.slip-download'])
      await rm(join(this.#root, path), { force: true, recursive: true })
  }

  async take(action: string, before: PartsState, after: PartsState): Promise<void> {
    this.#state = after
    const [, number, step] = /^p(\d) (.*)$/.exec(action) ?? []
    if (number !== undefined) await this.#publisher(Number(number), step!, before, after)
    else if (action.startsWith('the newcomer ')) await this.#newcomerTakes(action, before, after)
    else if (/^(begin to )?prune |^who prunes /.test(action)) await this.#prune(action, after)
  }

  abstraction(): PartsAbstraction {
    const { artifacts, names } = this.#shelf
    const pointer = this.#objects.get(POINTER)
    const places = [...artifacts.keys()]
    const archives = places.filter((artifact) => this.#objects.has(artifacts.get(artifact)!.archive))
    return {
      ...Object.fromEntries(
        this.#publishers.map((actor, n) => [
          `p${n}`,
          // What it reads first there depends on what it read before.
          this.#state.publisher.at(n) === LOOKED ? '' : this.#waiting(actor),
        ]),
      ),
      newcomer: this.#waiting(this.#newcomer),
      pruner: this.pruning.call ?? '',
      pointer: places
        .filter((a) => pointer !== undefined && Buffer.compare(artifacts.get(a)!.pointer, pointer) === 0)
        .map((artifact) => this.#shape.show(artifact)),
      archives: archives.map((artifact) => `${this.#shape.show(artifact)}: ${this.#listed(artifact)}`),
      parts: names.flatMap((own, part) =>
        own.every((name) => this.#objects.has(PARTS + name)) ? [this.#shape.lists.showPart(part)] : [],
      ),
    }
  }

  /** What it waits for, with the part. */
  #waiting({ call, waitsFor }: GatedActor): string {
    if (call !== 'part looked for' && call !== 'part read') return call ?? ''
    const part = this.#partOf(waitsFor!.slice(PARTS.length))
    return `${call}: ${part < 0 ? waitsFor! : this.#shape.lists.showPart(part)}`
  }

  #partOf(name: string): number {
    return this.#shelf.names.findIndex((names) => names.includes(name))
  }

  #listed(artifact: number): string {
    const { stateOf, artifacts } = this.#shelf
    const {
      base_blake3: base,
      layers,
      ...list
    } = archivedList(this.#objects.get(artifacts.get(artifact)!.archive)!)
    const chain = [list.index.part, ...layers.map(({ part }) => part)].map((name) => this.#partOf(name))
    const kept = [...new Set(list.kept.map((name) => this.#partOf(name)))]
    const { contents, parts } = this.#shape.lists
    const made = [base, ...layers.map(({ makes }) => makes)].map((digest) => stateOf.get(digest))
    if (!chain.every((part, i) => parts[part]?.to === made[i])) return 'parts that make something else'
    const content = contents.findIndex(
      (each) => String(each.chain) === String(chain) && String(each.kept) === String(kept),
    )
    return content < 0 ? `${String(chain)} (${String(kept)})` : this.#shape.lists.show(content)
  }

  async #publisher(n: number, step: string, before: PartsState, after: PartsState): Promise<void> {
    const actor = this.#publishers[n]!
    const artifact = this.#shape.held(before, n)
    const { archive, directory } = this.#shelf.artifacts.get(artifact) ?? { archive: '', directory: '' }
    switch (step) {
      case 'exports': {
        const source = async (): Promise<PublishInput['source']> => {
          await actor.gate('source asked')
          return this.#shape.described(this.#state.era)
        }
        await actor.begin((signal) => publishArtifact(directory, actor.store, NAME, { signal, source }))
        await this.#look(actor)
        break
      }
      case 'lays a base':
        // That what is known of the payload before is gone is one reason for it.
        await this.#passAll(actor, ['list read', 'part read'], 'absent')
        break
      case 'lays a layer':
        await this.#passAll(actor, ['list read', 'part read'])
        break
      case 'sends its part':
        await this.#passAll(actor, ['part looked for', 'part sent'])
        break
      case 'looks again':
        await this.#look(actor)
        while (actor.call === 'list read' && actor.waitsFor !== archive) await actor.pass('list read')
        // The pointer names it already: what is left changes nothing.
        if (after.publisher.at(n) === DONE) await this.#passAll(actor, ['list read'])
        break
      case 'puts its archive':
        await this.#passAll(actor, ['list read', 'list put'])
        break
      case 'swaps the pointer':
        await actor.pass('pointer moved')
        break
      case 'crashes':
        await actor.abandon()
        break
      default:
        // What its fold does nobody else sees.
        return
    }
    const { failure } = actor
    const isRefused = after.publisher.at(n) === DONE && String(failure).includes('its history')
    const isOver = after.publisher.at(n) === DONE && String(failure).includes('another history')
    if (failure !== undefined && !isRefused && !isOver) throw failure
  }

  async #look(actor: GatedActor): Promise<void> {
    await actor.pass('pointer read')
    await actor.pass('source asked')
  }

  /** `known`: how what is known of a payload is answered. */
  async #passAll(
    actor: GatedActor,
    calls: readonly Call[],
    known: 'heard' | 'absent' = 'heard',
  ): Promise<void> {
    while (actor.call !== undefined && calls.includes(actor.call))
      await actor.pass(actor.call, actor.call === 'part read' ? known : 'heard')
  }

  async #prune(action: string, after: PartsState): Promise<void> {
    const { artifacts, names } = this.#shelf
    const { lists } = this.#shape
    const [, begins, shown] = /^(begin to )?prune (.*)$/.exec(action) ?? []
    if (shown !== undefined) {
      const part = lists.parts.findIndex((_, each) => lists.showPart(each) === shown)
      const artifact = [...artifacts.keys()].find((each) => this.#shape.show(each) === shown)
      if (begins !== undefined) await this.pruning.begin(part)
      else if (artifact !== undefined) this.#objects.delete(artifacts.get(artifact)!.archive)
      else for (const name of names[part]!) this.#objects.delete(PARTS + name)
    } else if (action === 'who prunes looks into a payload') await this.pruning.pass('list read')
    else if (action === 'who prunes looks at the pointer again') await this.pruning.pass('pointer read')
    else while (this.pruning.call !== undefined) await this.pruning.pass('part deleted')
    if (after.doomed === 0) await this.pruning.rest()
  }

  async #newcomerTakes(action: string, before: PartsState, after: PartsState): Promise<void> {
    const actor = this.#newcomer
    const [download, previous] = [join(this.#root, 'download'), join(this.#root, 'previous')]
    switch (action) {
      case 'the newcomer reads the pointer':
        if (actor.call === undefined)
          await actor.begin((signal) =>
            downloadArtifact(actor.store, NAME, download, {
              signal,
              ...(before.has === 0 ? {} : { previous }),
            }),
          )
        await actor.pass('pointer read')
        break
      case 'the newcomer reads the list':
        await actor.pass('list read')
        break
      case 'the newcomer fetches a part':
        await actor.pass('part read')
        break
      case 'the newcomer crashes':
        await actor.abandon()
        return
      case 'the newcomer loses what it has':
        await rm(previous, { force: true, recursive: true })
        return
      default:
    }
    if (actor.failure !== undefined) throw actor.failure
    if (after.newcomer !== MADE || before.newcomer === MADE) return
    await this.#mustHold(download, before.got)
    await rm(previous, { force: true, recursive: true })
    await rename(download, previous)
  }

  /** What was fetched is the artifact that the pointer named. */
  async #mustHold(directory: string, artifact: number): Promise<void> {
    const { directory: shelved } = this.#shelf.artifacts.get(artifact)!
    for (const file of ['MANIFEST.json', 'data/fold.records']) {
      const [found, told] = [await readFile(join(directory, file)), await readFile(join(shelved, file))]
      if (!found.equals(told))
        throw new Error(`another ${file} than that of ${this.#shape.show(artifact)} was made`)
    }
  }
}

/** What the model says of the same things. */
export function expectedParts(shape: PartsShape, s: PartsState): PartsAbstraction {
  const { lists } = shape
  const last = (n: number): string =>
    `part looked for: ${lists.showPart(lists.contents[s.made.at(n)]!.chain.at(-1)!)}`
  const callOfPhase = (n: number): string => {
    const sends = last.bind(undefined, n)
    const calls = [
      () => '',
      () => '',
      sends,
      () => 'pointer read',
      () => 'list read',
      sends,
      () => 'pointer moved',
      sends,
      () => 'list read',
      () => '',
    ]
    return calls[s.publisher.at(n)]!()
  }
  const chain = lists.contents[s.gotList]!.chain
  const newcomer =
    s.newcomer === 1
      ? 'list read'
      : s.newcomer === MISSED
        ? 'pointer read'
        : s.newcomer > 1 && s.newcomer < MISSED
          ? `part read: ${lists.showPart(chain[s.newcomer - 2]!)}`
          : ''
  const isUnread = shape.artifacts.some((artifact) => s.doomed > 0 && s.unread.at(artifact - 1) === 1)
  const there = shape.artifacts.filter((artifact) => s.archives.at(artifact - 1) > 0)
  return {
    ...Object.fromEntries(shape.publishers.map((n) => [`p${n}`, callOfPhase(n)])),
    newcomer,
    pruner: s.doomed === 0 ? '' : isUnread ? 'list read' : s.sure === 0 ? 'pointer read' : 'part deleted',
    pointer: s.pointer === 0 ? [] : [shape.show(s.pointer)],
    archives: there.map((artifact) => `${shape.show(artifact)}: ${lists.show(s.archives.at(artifact - 1))}`),
    parts: lists.parts.flatMap((_, part) => (s.parts.at(part) === 1 ? [lists.showPart(part)] : [])),
  }
}

import { open, type FileHandle } from 'node:fs/promises'
import { SnapshotError } from '@slip/kv-core'
import { PUT, REMOVE } from './batch-encoder.ts'
import { openEnvironment, type Environment } from './environment.ts'
import { DATABASES } from './file-check.ts'
import { decodeState, encodeState, LINEAGE_KEY, STATE_KEY, type FoldState } from './fold-state.ts'
import { checkHead } from './head-check.ts'
import { decodeLayers, LAYERS_KEY, runName, type Layers } from './layer-row.ts'
import { mustHaveRoom } from './disk-room.ts'
import { LeafStream, windowPagesOf, type PagedFile } from './leaf-stream.ts'
import type { LmdbDatabase } from './lmdb-js.js'
import type { TreeFacts } from './lmdb-page.ts'
import { MergeOrder, type MergeHead } from './merge-order.ts'
import { walkPages } from './page-walk.ts'
import { syncFile } from './sync-file.ts'

const RECORDS_A_TRANSACTION = 20_000
/** The library keeps the memory of the largest one for the next. */
const BYTES_A_TRANSACTION = 2 * 1024 * 1024
const IN_ORDER = { append: true } as const

export interface MergeRequest {
  /** A file whose arrivals are all in runs, and that nobody reuses pages of meanwhile. */
  readonly source: string
  /** Does not exist yet. */
  readonly target: string
  readonly maxReaders: number
}

/**
 * Writes the fold of a layered file, in key order, to a new file without layers: read once, written once,
 * nothing at a random place. It is the commit that is the newest when it calls `begun`. `proceed` is asked
 * now and then, and ends it by throwing. On disk when it resolves. SnapshotError `Corrupted`, `Backend`, `Io`.
 */
export async function mergeLayers(
  request: MergeRequest,
  ask: { readonly begun: () => void; readonly proceed: () => void },
): Promise<void> {
  const handle = await open(request.source, 'r')
  try {
    const source = await readSource(request.source, handle)
    const { maxReaders } = request
    const target = await openEnvironment(request.target, { synced: false, maxReaders })
    try {
      // The target exists: nobody takes its number.
      ask.begun()
      new Merge(source, target, request.target).run(ask.proceed)
    } finally {
      await target.root.close()
    }
  } finally {
    await handle.close()
  }
  await syncFile(request.target)
}

interface Source {
  readonly file: PagedFile & { readonly bytes: number }
  readonly trees: ReadonlyMap<string, TreeFacts>
  readonly rows: ReadonlyMap<string, Uint8Array>
  readonly state: FoldState
  readonly layers: Layers
}

/** The newest commit of a file. */
async function readSource(path: string, handle: FileHandle): Promise<Source> {
  const head = await checkHead(handle)
  if (head.verdict !== 'plausible') throw corrupted(path, head.what)
  const { databases: trees, damage } = await walkPages(handle, head.meta, {
    walks: () => false,
    skipFree: true,
  })
  if (damage !== undefined) throw corrupted(path, damage.what)
  const { pageBytes } = head.meta
  const file = { path, descriptor: handle.fd, pageBytes, bytes: head.size }
  const rows = new Map<string, Uint8Array>()
  const stream = new LeafStream(file, treeOf(trees, DATABASES.meta, path))
  while (stream.advance()) rows.set(stream.text, new Uint8Array(stream.value))
  const state = rows.get(STATE_KEY)
  const layers = rows.get(LAYERS_KEY)
  if (state === undefined || layers === undefined) throw corrupted(path, 'it has no state, or no layers')
  return {
    file,
    trees,
    rows,
    state: decodeState(state, state.length),
    layers: decodeLayers(layers, layers.length),
  }
}

/** A layer on its way through the merge; a higher rank is newer. */
class RunHead implements MergeHead {
  readonly rank: number
  readonly stream: LeafStream
  /** What all its records are; undefined where each says so itself. */
  readonly #all: number | undefined

  constructor(rank: number, stream: LeafStream, all?: typeof PUT | typeof REMOVE) {
    this.rank = rank
    this.stream = stream
    this.#all = all
  }

  get text(): string {
    return this.stream.text
  }

  get what(): number {
    return this.#all ?? this.stream.value[0]!
  }

  get record(): Uint8Array {
    return this.#all === undefined ? this.stream.value.subarray(1) : this.stream.value
  }

  advance(): boolean {
    return this.stream.advance()
  }
}

class Merge {
  readonly #source: Source
  readonly #target: Environment
  readonly #file: string
  readonly #data: LmdbDatabase
  readonly #deleted: LmdbDatabase
  #entries = 0
  #deletedKeys = 0
  /** An append that is out of order is dropped without a word. */
  #last = ''

  constructor(source: Source, target: Environment, file: string) {
    this.#source = source
    this.#file = file
    this.#target = target
    this.#data = target.byText(DATABASES.data)!
    this.#deleted = target.byText(DATABASES.deleted)!
  }

  run(proceed: () => void): void {
    const { file, trees, layers } = this.#source
    const pages = windowPagesOf(2 + layers.runs.length, file.pageBytes)
    const streamOf = (name: string): LeafStream => new LeafStream(file, treeOf(trees, name, file.path), pages)
    const heads = [
      new RunHead(0, streamOf(DATABASES.data), PUT),
      new RunHead(0, streamOf(DATABASES.deleted), REMOVE),
      ...layers.runs.map((_, i) => new RunHead(1 + i, streamOf(runName(i)))),
    ]
    const order = new MergeOrder(heads.filter((head) => head.advance()))
    const { root } = this.#target
    const most = Math.min(BYTES_A_TRANSACTION, file.bytes)
    while (order.top !== undefined) {
      proceed()
      mustHaveRoom(this.#file, 2 * most + order.top.record.length)
      root.transactionSync(() => {
        let bytes = 0
        for (let i = 0; i < RECORDS_A_TRANSACTION && bytes < most && order.top !== undefined; i++) {
          bytes += order.top.text.length + order.top.record.length
          this.#append(order.top)
          order.skip()
        }
      })
    }
    this.#mustBeWhole(heads)
    root.transactionSync(() => this.#end())
  }

  #append({ text, what, record }: RunHead): void {
    if (text <= this.#last) throw corrupted(this.#source.file.path, 'keys of a layer are out of order')
    this.#last = text
    if (what === PUT) this.#entries++
    else this.#deletedKeys++
    const database = what === PUT ? this.#data : this.#deleted
    if (!database.putSync(text, record, IN_ORDER))
      throw new SnapshotError('Backend', `a record of ${this.#source.file.path} was not taken`)
  }

  #mustBeWhole([data, deleted, ...runs]: readonly RunHead[]): void {
    const { layers, state, file } = this.#source
    const counted = [data, deleted, ...runs].map((head) => head!.stream.records)
    const stated = [layers.base.entries, layers.base.deletedKeys, ...layers.runs]
    if (counted.some((records, i) => records !== stated[i]))
      throw corrupted(file.path, `layers of ${stated.join(', ')} records have ${counted.join(', ')}`)
    if (this.#entries !== state.entries || this.#deletedKeys !== state.deletedKeys)
      throw corrupted(
        file.path,
        `its layers hold ${this.#entries} entries and ${this.#deletedKeys} deleted keys, not ${state.entries} and ${state.deletedKeys}`,
      )
  }

  #end(): void {
    const { meta } = this.#target
    const { rows, state } = this.#source
    const lineage = rows.get(LINEAGE_KEY)
    if (lineage !== undefined) meta.putSync(LINEAGE_KEY, lineage)
    meta.putSync(STATE_KEY, encodeState(state))
  }
}

function treeOf(trees: ReadonlyMap<string, TreeFacts>, name: string, path: string): TreeFacts {
  const tree = trees.get(name)
  if (tree === undefined) throw corrupted(path, `it has no database ${name}`)
  return tree
}

function corrupted(path: string, what: string): SnapshotError {
  return new SnapshotError('Corrupted', `${path} cannot be merged: ${what}`, { path })
}

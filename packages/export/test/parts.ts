import assert from 'node:assert/strict'
import { createCipheriv, createHash } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeLineage, type KvUpdate, type ObjectStore, type SnapshotStore } from '@slip/kv-core'
import {
  downloadArtifact,
  exportSnapshot,
  pruneArtifacts,
  publishArtifact,
  type Manifest,
} from '@slip/export'
import { appendLog } from '@slip/store-applog'
import { BINDING } from './folds.ts'
import { overStore } from './remote.ts'
import { at, del, put, scratch } from './scratch.ts'

const lineage = encodeLineage({ binding: BINDING, anchors: [] })

/** A fold of its own whose states are exported one after the other. */
export class ChangingFold {
  readonly store: SnapshotStore
  readonly directory: string
  readonly #valueBytes: number
  #revision = 0
  #exports = 0

  private constructor(store: SnapshotStore, directory: string, valueBytes: number) {
    this.store = store
    this.directory = directory
    this.#valueBytes = valueBytes
  }

  /** In generation 2 a key that is deleted leaves no name. */
  static async open(valueBytes = 200, format: 2 | 3 = 3): Promise<ChangingFold> {
    const directory = await scratch()
    const store = await appendLog({ path: join(directory, 'fold'), format }).open()
    return new ChangingFold(store, directory, valueBytes)
  }

  /** Puts a new value under each of the keys, or deletes those that are negative; without keys only the cursor moves. */
  async change(keys: readonly number[]): Promise<void> {
    const updates: KvUpdate[] = keys.map((key) => {
      const revision = ++this.#revision
      if (key < 0) return del(keyOf(-key), revision)
      const value = noise(`${revision}`, this.#valueBytes)
      return put(keyOf(key), value, revision)
    })
    if (updates.length === 0) this.#revision++
    await this.store.apply(updates, at(this.#revision), this.store.features.lineage ? { lineage } : {})
  }

  async export(): Promise<{
    readonly directory: string
    readonly manifest: Manifest
    readonly payloadBytes: number
  }> {
    const directory = join(this.directory, `artifact-${++this.#exports}`)
    await rm(directory, { recursive: true, force: true })
    const manifest = await exportSnapshot(this.store, directory, { layout: 'records' })
    return { directory, manifest, payloadBytes: manifest.files[0]!.size }
  }
}

export function keyOf(key: number): string {
  return `route.${String(key).padStart(9, '0')}`
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

/** Counts the bytes of objects that go in and out. */
export class CountingStore {
  readonly store: ObjectStore
  put = 0
  got = 0

  constructor(inner: ObjectStore) {
    const count = async function* (
      body: AsyncIterable<Uint8Array>,
      add: (length: number) => void,
    ): AsyncGenerator<Uint8Array> {
      for await (const piece of body) {
        add(piece.length)
        yield piece
      }
    }
    this.store = overStore(inner, {
      get: async (name, options) => {
        const found = await inner.get(name, options)
        return found && { ...found, body: count(found.body, (length) => (this.got += length)) }
      },
      put: async (name, body, options) => {
        const pieces = body instanceof Uint8Array ? [body] : body
        const counted = count(iterable(pieces), (length) => (this.put += length))
        return inner.put(name, counted, options)
      },
    })
  }

  /** What was counted since the last time. */
  taken(): { readonly put: number; readonly got: number } {
    const { put: sent, got } = this
    this.put = this.got = 0
    return { put: sent, got }
  }
}

async function* iterable(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* pieces
}

function noise(seed: string, length: number): Buffer {
  const cipher = createCipheriv('aes-128-ctr', createHash('md5').update(seed).digest(), Buffer.alloc(16))
  return cipher.update(Buffer.alloc(length))
}

/** Publishes one state after the other, fetches each upon the one before, and prunes: through the contract only. */
export async function goRoundInParts(inner: ObjectStore): Promise<void> {
  const fold = await ChangingFold.open(1000)
  const counting = new CountingStore(inner)
  await fold.change(range(1, 2000))
  let previous: string | undefined
  for (const changed of [[], range(30, 50), [-31, 2001]]) {
    await fold.change(changed)
    const { directory, payloadBytes } = await fold.export()
    const { outcome } = await publishArtifact(directory, counting.store, 'cell/routes')
    assert.equal(outcome, 'published')
    const down = join(await scratch(), 'down')
    await downloadArtifact(counting.store, 'cell/routes', down, { previous })
    const [own, fetched] = await Promise.all(
      [directory, down].map(async (each) => readFile(join(each, 'data/fold.records'))),
    )
    assert.ok(own!.equals(fetched!))
    const { put: sent, got } = counting.taken()
    if (previous !== undefined)
      assert.ok(sent + got < payloadBytes / 10, `${sent} and ${got} of ${payloadBytes}`)
    previous = down
  }
  assert.equal(await pruneArtifacts(inner, 'cell/routes', { graceMs: 0 }), 2)
  await downloadArtifact(inner, 'cell/routes', join(await scratch(), 'down'))
  await fold.store.close()
}

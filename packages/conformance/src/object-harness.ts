import assert from 'node:assert/strict'
import { createCipheriv, createHash } from 'node:crypto'
import type { ListedObject, ObjectPutOptions, ObjectRange, ObjectStore } from '@slip/kv-core'
import type { ObjectSuite } from './object-suite.ts'
import { within } from './within.ts'

/** Far more than any step of a case takes. */
export const LONG_MS = 60_000
/** Far more than an abort takes, where nothing else is under way. */
export const ABORTED_WITHIN_MS = 20_000

/** An object as a case looks at it. */
export interface WholeObject {
  readonly bytes: Uint8Array
  readonly size: number
  readonly etag: string
}

/** Two handles on an empty place, and what cases do with them. */
export class ObjectHarness {
  readonly store: ObjectStore
  readonly other: ObjectStore

  private constructor(store: ObjectStore, other: ObjectStore) {
    this.store = store
    this.other = other
  }

  static async with(suite: ObjectSuite, body: (harness: ObjectHarness) => Promise<void>): Promise<void> {
    const fixture = await suite.create()
    const { store, other = store } = fixture
    try {
      await body(new ObjectHarness(store, other))
    } finally {
      await store.close?.()
      if (other !== store) await other.close?.()
      await fixture.destroy()
    }
  }

  /** Puts text; asserts that no condition was in the way. Gives the etag. */
  async put(name: string, text: string, options: ObjectPutOptions = {}): Promise<string> {
    const result = await this.store.put(name, bytesOf(text), options)
    assert.ok(result !== 'conflict', `a put of ${name} is a conflict`)
    return result.etag
  }

  async read(
    name: string,
    range?: ObjectRange,
    store: ObjectStore = this.other,
  ): Promise<WholeObject | undefined> {
    const found = await store.get(name, range === undefined ? {} : { range })
    if (found === undefined) return undefined
    return { bytes: await collect(found.body), size: found.size, etag: found.etag }
  }

  /** As text; undefined when there is none. */
  async text(name: string, store: ObjectStore = this.other): Promise<string | undefined> {
    const found = await this.read(name, undefined, store)
    return found && new TextDecoder().decode(found.bytes)
  }

  async names(prefix = ''): Promise<string[]> {
    return (await this.listed(prefix)).map(({ name }) => name)
  }

  /** Lets the event loop go on: what never waits for anything would keep all else from running. */
  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** By name. */
  async listed(prefix = ''): Promise<ListedObject[]> {
    const found: ListedObject[] = []
    for await (const each of this.other.list(prefix)) found.push(each)
    return found.sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}

/** The body of every case. */
export function onObjects(
  body: (harness: ObjectHarness, suite: ObjectSuite) => Promise<void>,
): (suite: ObjectSuite) => Promise<void> {
  return (suite) =>
    within(
      ObjectHarness.with(suite, (harness) => body(harness, suite)),
      3 * LONG_MS,
      'the case to end',
    )
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Bytes without a period, others for every seed. */
export function pattern(length: number, seed: number): Uint8Array {
  const key = createHash('sha256').update(String(seed)).digest().subarray(0, 16)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}

/** The same bytes, in pieces of `each`. */
export async function* inPieces(bytes: Uint8Array, each: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += each) yield bytes.subarray(at, at + each)
}

export async function collect(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of body) pieces.push(piece.slice())
  return Buffer.concat(pieces)
}

/** For bytes that are too many to be printed. */
export function digestOf(bytes: Uint8Array): string {
  return `${bytes.length} bytes, sha256 ${createHash('sha256').update(bytes).digest('hex')}`
}

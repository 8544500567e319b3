import { createHash } from 'node:crypto'
import { KvError, type ListedObject, type ObjectStore, type StoredObject } from '@slip/kv-core'

/** What a place holds of one name. */
export interface KeptObject {
  readonly bytes: Uint8Array
  readonly etag: string
  readonly modifiedMs: number
}

/** Objects in memory, shared by all handles on a place. */
export type ReferencePlace = Map<string, KeptObject>

// oxlint-disable-next-line no-control-regex
const UNFIT = /[\u0000-\u001f\\]|\p{Surrogate}/u

/** The honest store: everything the contract says, as plainly as it can be said. */
export function referenceObjects(place: ReferencePlace): ObjectStore {
  return {
    capabilities: { createOnly: true, compareAndSwap: true, rangeReads: true },
    get: async (name, { signal, range } = {}): Promise<StoredObject | undefined> => {
      signal?.throwIfAborted()
      mustBeName(name, name.split('/'))
      const kept = place.get(name)
      if (kept === undefined) return undefined
      const { bytes, etag } = kept
      const start = range?.start ?? 0
      const part = bytes.subarray(start, start + (range?.length ?? bytes.length))
      return { body: pieces(part, signal), size: bytes.length, etag }
    },
    put: async (name, body, { signal, condition } = {}) => {
      signal?.throwIfAborted()
      mustBeName(name, name.split('/'))
      const bytes = body instanceof Uint8Array ? body.slice() : await collected(body, signal)
      const there = place.get(name)
      if (condition === 'absent' && there !== undefined) return 'conflict'
      if (typeof condition === 'object' && there?.etag !== condition.etag) return 'conflict'
      const etag = createHash('sha256').update(bytes).digest('hex')
      place.set(name, { bytes, etag, modifiedMs: Date.now() })
      return { etag }
    },
    list: async function* (prefix, { signal } = {}): AsyncGenerator<ListedObject> {
      signal?.throwIfAborted()
      mustBeName(prefix, prefix.split('/').slice(0, -1))
      for (const [name, { bytes, modifiedMs }] of place)
        if (name.startsWith(prefix)) yield { name, size: bytes.length, modifiedMs }
    },
    delete: async (name, { signal } = {}) => {
      signal?.throwIfAborted()
      mustBeName(name, name.split('/'))
      place.delete(name)
    },
  }
}

function mustBeName(text: string, parts: readonly string[]): void {
  if (UNFIT.test(text) || text.length > 1024 || parts.some((part) => ['', '.', '..'].includes(part)))
    throw new KvError('InvalidKey', 'no name of an object')
}

async function* pieces(bytes: Uint8Array, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100_000) {
    signal?.throwIfAborted()
    yield bytes.subarray(at, at + 100_000)
  }
}

async function collected(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const taken: Uint8Array[] = []
  const reading = (async () => {
    for await (const piece of body) {
      signal?.throwIfAborted()
      taken.push(piece.slice())
    }
  })()
  await (signal === undefined ? reading : Promise.race([reading, rejection(signal)]))
  return Buffer.concat(taken)
}

async function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

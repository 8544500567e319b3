import { KvError, type ListedObject, type ObjectStore } from '@slip/kv-core'
import type { ObjectSuite } from '@slip/conformance'
import { override } from './override.ts'
import { referenceObjects, type ReferencePlace } from './reference-objects.ts'

/** A transport that breaks one requirement, and the case made to say so. */
export interface BrokenObjects {
  readonly name: string
  readonly caughtBy: string
  readonly spoil: (store: ObjectStore, place: ReferencePlace) => ObjectStore
}

/** The honest store, or what `spoil` makes of it. */
export function referenceObjectSuite(
  spoil: BrokenObjects['spoil'] = (store) => store,
  capabilities: ObjectSuite['capabilities'] = { createOnly: true, compareAndSwap: true, rangeReads: true },
): ObjectSuite {
  return {
    capabilities,
    largeBytes: 3 * 1024 * 1024,
    create: async () => {
      const place: ReferencePlace = new Map()
      return {
        store: spoil(referenceObjects(place), place),
        other: spoil(referenceObjects(place), place),
        destroy: async () => place.clear(),
      }
    },
  }
}

/** A store that says it has no conditions, and keeps to it. */
export function withoutConditions(store: ObjectStore): ObjectStore {
  return override(store, {
    capabilities: { createOnly: false, compareAndSwap: false, rangeReads: true },
    put: async (name, body, options = {}) => {
      if (options.condition !== undefined) throw new KvError('Unsupported', 'no conditions')
      return store.put(name, body, options)
    },
  })
}

type Put = ObjectStore['put']
type Get = ObjectStore['get']

const put =
  (change: (put: Put, place: ReferencePlace) => Put): BrokenObjects['spoil'] =>
  (store, place) =>
    override(store, { put: change(store.put.bind(store), place) })
const get =
  (change: (get: Get, place: ReferencePlace) => Get): BrokenObjects['spoil'] =>
  (store, place) =>
    override(store, { get: change(store.get.bind(store), place) })

const text = (bytes: Uint8Array): AsyncIterable<Uint8Array> => ({
  [Symbol.asyncIterator]: async function* () {
    yield bytes
  },
})

export const brokenObjects: readonly BrokenObjects[] = [
  {
    name: 'ignores the condition absent',
    caughtBy: 'conditions/absent',
    spoil: put(
      (honest) =>
        (name, body, { condition, ...rest } = {}) =>
          honest(name, body, condition === 'absent' ? rest : { ...rest, condition }),
    ),
  },
  {
    name: 'ignores the condition absent when many create at once',
    caughtBy: 'conditions/absent-race',
    spoil: put((honest, place) => async (name, body, { condition, ...rest } = {}) => {
      if (condition !== 'absent') return honest(name, body, { ...rest, condition })
      const isThere = place.has(name)
      await new Promise((resolve) => setTimeout(resolve, 1))
      return isThere ? 'conflict' : honest(name, body, rest)
    }),
  },
  {
    name: 'ignores the condition of an etag',
    caughtBy: 'conditions/etag',
    spoil: put(
      (honest) =>
        (name, body, { condition, ...rest } = {}) =>
          honest(name, body, condition === 'absent' ? { ...rest, condition } : rest),
    ),
  },
  {
    name: 'makes an object of a swap of nothing',
    caughtBy: 'conditions/etag-of-nothing',
    spoil: put(
      (honest, place) =>
        (name, body, { condition, ...rest } = {}) =>
          honest(name, body, place.has(name) ? { ...rest, condition } : rest),
    ),
  },
  {
    name: 'looks at the etag before it swaps, not when',
    caughtBy: 'conditions/etag-race',
    spoil: put((honest, place) => async (name, body, { condition, ...rest } = {}) => {
      if (typeof condition !== 'object') return honest(name, body, { ...rest, condition })
      const isThere = place.get(name)?.etag === condition.etag
      await new Promise((resolve) => setTimeout(resolve, 1))
      return isThere ? honest(name, body, rest) : 'conflict'
    }),
  },
  {
    name: 'loses one of two swaps that meet',
    caughtBy: 'conditions/counter',
    spoil: put((honest, place) => async (name, body, { condition, ...rest } = {}) => {
      if (typeof condition !== 'object') return honest(name, body, { ...rest, condition })
      const isThere = place.get(name)?.etag === condition.etag
      await new Promise((resolve) => setTimeout(resolve, 1))
      return isThere ? honest(name, body, rest) : 'conflict'
    }),
  },
  {
    name: 'ignores conditions and says that it has none',
    caughtBy: 'conditions/etag-unsupported',
    spoil: (store) =>
      override(withoutConditions(store), {
        put: (name, body, { signal } = {}) => store.put(name, body, { signal }),
      }),
  },
  {
    name: 'takes an object away before it puts another in its place',
    caughtBy: 'whole/read-while-it-is-replaced',
    spoil: (store) =>
      override(store, {
        put: async (name, body, options = {}) => {
          if (!(body instanceof Uint8Array) || options.condition !== undefined)
            return store.put(name, body, options)
          await store.delete(name)
          await new Promise((resolve) => setTimeout(resolve, 1))
          return store.put(name, body, options)
        },
      }),
  },
  {
    name: 'leaves out of its listing what is replaced meanwhile',
    caughtBy: 'list/while-it-changes',
    spoil: (store, place) =>
      override(store, {
        async *list(prefix, options) {
          const before = new Map([...place].map(([name, { etag }]) => [name, etag]))
          const listed: ListedObject[] = []
          for await (const each of store.list(prefix, options)) listed.push(each)
          for (const each of listed) {
            await new Promise((resolve) => setImmediate(resolve))
            if (place.get(each.name)?.etag === before.get(each.name)) yield each
          }
        },
      }),
  },
  {
    name: 'shows an object while it is put',
    caughtBy: 'whole/while-it-is-put',
    spoil: put((honest) => async (name, body, options = {}) => {
      if (body instanceof Uint8Array) return honest(name, body, options)
      const taken: Uint8Array[] = []
      for await (const piece of body) {
        taken.push(piece.slice())
        await honest(name, Buffer.concat(taken))
      }
      return honest(name, Buffer.concat(taken), options)
    }),
  },
  {
    name: 'takes the old object away before the new one is whole',
    caughtBy: 'whole/while-it-is-replaced',
    spoil: put((honest, place) => (name, body, options) => {
      if (!(body instanceof Uint8Array)) place.delete(name)
      return honest(name, body, options)
    }),
  },
  {
    name: 'keeps what came before a body failed',
    caughtBy: 'whole/failing-body',
    spoil: put((honest) => async (name, body, options = {}) => {
      if (body instanceof Uint8Array) return honest(name, body, options)
      const taken: Uint8Array[] = []
      try {
        for await (const piece of body) taken.push(piece.slice())
      } catch (error) {
        await honest(name, Buffer.concat(taken))
        throw error
      }
      return honest(name, Buffer.concat(taken), options)
    }),
  },
  {
    name: 'keeps the pieces that it was given instead of their bytes',
    caughtBy: 'content/reused-piece',
    spoil: put((honest) => async (name, body, options) => {
      if (body instanceof Uint8Array) return honest(name, body, options)
      const taken: Uint8Array[] = []
      for await (const piece of body) taken.push(piece)
      return honest(name, Buffer.concat(taken), options)
    }),
  },
  {
    name: 'mixes what is put at the same time',
    caughtBy: 'whole/side-by-side',
    spoil: (() => {
      let shared: Uint8Array = new Uint8Array()
      return put((honest) => async (name, body, options) => {
        if (body instanceof Uint8Array) shared = body
        await new Promise((resolve) => setTimeout(resolve, 1))
        return honest(name, body instanceof Uint8Array ? shared : body, options)
      })
    })(),
  },
  {
    name: 'loses the last byte',
    caughtBy: 'content/round-trip',
    spoil: put(
      (honest) => (name, body, options) =>
        honest(name, body instanceof Uint8Array ? body.subarray(0, -1) : body, options),
    ),
  },
  {
    name: 'cuts a large object',
    caughtBy: 'content/large',
    spoil: get((honest) => async (name, options) => {
      const found = await honest(name, options)
      if (found === undefined || found.size <= 3_000_000) return found
      return {
        ...found,
        body: {
          [Symbol.asyncIterator]: async function* () {
            let bytes = 0
            for await (const piece of found.body) {
              bytes += piece.length
              if (bytes > 3_000_000) return
              yield piece
            }
          },
        },
      }
    }),
  },
  {
    name: 'gives an empty object for one that is not there',
    caughtBy: 'content/absent',
    spoil: get(
      (honest) => async (name, options) =>
        (await honest(name, options)) ?? {
          body: text(new Uint8Array()),
          size: 0,
          etag: 'none',
        },
    ),
  },
  {
    name: 'reads what was there a moment ago',
    caughtBy: 'content/replaced',
    spoil: (() => {
      const first = new Map<string, Uint8Array>()
      return get((honest, place) => async (name, options) => {
        const kept = place.get(name)
        if (kept !== undefined && !first.has(name)) first.set(name, kept.bytes)
        const found = await honest(name, options)
        return found && { ...found, body: text(first.get(name)!) }
      })
    })(),
  },
  {
    name: 'is off by one in a range',
    caughtBy: 'range/exact',
    spoil: get(
      (honest) =>
        (name, { range, ...rest } = {}) =>
          honest(name, range === undefined ? rest : { ...rest, range: { ...range, start: range.start + 1 } }),
    ),
  },
  {
    name: 'states the length of a range for the size',
    caughtBy: 'range/exact',
    spoil: get((honest) => async (name, options = {}) => {
      const found = await honest(name, options)
      return found && { ...found, size: options.range?.length ?? found.size }
    }),
  },
  {
    name: 'gives a range an etag of its own',
    caughtBy: 'range/etag',
    spoil: get((honest) => async (name, options = {}) => {
      const found = await honest(name, options)
      return found && { ...found, etag: options.range === undefined ? found.etag : 'ranged' }
    }),
  },
  {
    name: 'has one etag for everything',
    caughtBy: 'content/etag',
    spoil: put((honest) => async (name, body, options) => {
      const result = await honest(name, body, options)
      return result === 'conflict' ? result : { etag: 'always' }
    }),
  },
  {
    name: 'goes on with the new object in the middle of the old one',
    caughtBy: 'content/read-once-begun',
    spoil: get((honest, place) => async (name, options) => {
      const found = await honest(name, options)
      return (
        found && {
          ...found,
          body: {
            [Symbol.asyncIterator]: async function* () {
              for (let at = 0; at < found.size; at += 100_000)
                yield (place.get(name)?.bytes ?? new Uint8Array()).subarray(at, at + 100_000)
            },
          },
        }
      )
    }),
  },
  {
    name: 'does not let an object go that was not read to its end',
    caughtBy: 'content/left-early',
    spoil: (store) => {
      let reading = 0
      return override(store, {
        get: async (name, options) => {
          const found = await store.get(name, options)
          if (found === undefined) return found
          if (reading > 0) throw new Error('somebody reads')
          reading++
          return {
            ...found,
            body: {
              [Symbol.asyncIterator]: async function* () {
                for await (const piece of found.body) yield piece.slice()
                reading--
              },
            },
          }
        },
      })
    },
  },
  {
    name: 'takes a name for a path of the web',
    caughtBy: 'names/kept-apart',
    spoil: (store) => {
      const plain = (name: string): string => decodeURIComponent(name.replaceAll(/%(?!\d)/g, '%25'))
      return override(store, {
        get: (name, options) => store.get(plain(name), options),
        put: (name, body, options) => store.put(plain(name), body, options),
        delete: (name, options) => store.delete(plain(name), options),
      })
    },
  },
  {
    name: 'follows a name to its parent',
    caughtBy: 'names/hostile',
    spoil: put((honest, place) => async (name, body, options) => {
      if (!name.includes('..')) return honest(name, body, options)
      place.set(name, { bytes: body as Uint8Array, etag: 'x', modifiedMs: Date.now() })
      return { etag: 'x' }
    }),
  },
  {
    name: 'lists the first hundred',
    caughtBy: 'list/complete',
    spoil: (store) =>
      override(store, {
        list: async function* (prefix, options) {
          let given = 0
          for await (const each of store.list(prefix, options)) if (given++ < 100) yield each
        },
      }),
  },
  {
    name: 'takes a prefix for a directory',
    caughtBy: 'list/prefix',
    spoil: (store) =>
      override(store, {
        list: (prefix, options) =>
          store.list(prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`, options),
      }),
  },
  {
    name: 'lists what was deleted',
    caughtBy: 'list/deleted',
    spoil: (() => {
      const deleted = new Set<string>()
      return (store) =>
        override(store, {
          delete: async (name, options) => {
            deleted.add(name)
            await store.delete(name, options)
          },
          list: async function* (prefix, options) {
            yield* store.list(prefix, options)
            for (const name of deleted) yield { name, size: 0, modifiedMs: 0 }
          },
        })
    })(),
  },
  {
    name: 'gives seconds for milliseconds',
    caughtBy: 'list/modified',
    spoil: (store) =>
      override(store, {
        list: async function* (prefix, options) {
          for await (const each of store.list(prefix, options))
            yield { ...each, modifiedMs: each.modifiedMs / 1000 }
        },
      }),
  },
  {
    name: 'deletes although it was told to stop before',
    caughtBy: 'objects-abort/before-a-call',
    spoil: (store) => override(store, { delete: (name) => store.delete(name) }),
  },
  {
    name: 'finishes a put that was aborted',
    caughtBy: 'objects-abort/in-a-put',
    spoil: put(
      (honest) =>
        (name, body, { condition } = {}) =>
          honest(name, body, { condition }),
    ),
  },
  {
    name: 'waits for a body that hangs',
    caughtBy: 'objects-abort/while-the-body-hangs',
    spoil: put((honest) => async (name, body, options = {}) => {
      if (body instanceof Uint8Array) return honest(name, body, options)
      const taken: Uint8Array[] = []
      for await (const piece of body) taken.push(piece.slice())
      return honest(name, Buffer.concat(taken), options)
    }),
  },
  {
    name: 'cuts an aborted body short as if it were complete',
    caughtBy: 'objects-abort/in-a-body',
    spoil: get((honest) => async (name, options = {}) => {
      const { signal, ...rest } = options
      const found = await honest(name, rest)
      return (
        found && {
          ...found,
          body: {
            [Symbol.asyncIterator]: async function* () {
              for await (const piece of found.body) {
                if (signal?.aborted === true) return
                yield piece
              }
            },
          },
        }
      )
    }),
  },
]

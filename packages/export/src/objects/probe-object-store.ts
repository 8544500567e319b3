import { randomUUID } from 'node:crypto'
import { KvError, type ObjectStore, type WaitOptions } from '@slip/kv-core'
import { collect } from './object-body.ts'

/** What a store was seen to do, whatever it says. */
export type ObservedCapabilities = ObjectStore['capabilities']

const ONE = new TextEncoder().encode('the first object')
const TWO = new TextEncoder().encode('the second one')
const STALE = 'f00dfacef00dfacef00dfacef00dface'

/**
 * Tries what a store says it can on an object of its own, `PREFIX.slip-probe-…`, which is removed afterwards.
 * Some stores take a condition and ignore it. Capabilities that are not stated are not tried and false.
 */
export async function probeObjectStore(
  store: ObjectStore,
  prefix: string = '',
  wait: WaitOptions = {},
): Promise<ObservedCapabilities> {
  const name = `${prefix}.slip-probe-${randomUUID()}`
  const { createOnly, compareAndSwap, rangeReads } = store.capabilities
  try {
    const first = await store.put(name, ONE, createOnly ? { ...wait, condition: 'absent' } : wait)
    if (first === 'conflict') return { createOnly: false, compareAndSwap: false, rangeReads: false }
    const createsOnce = createOnly && (await refuses(store, name, 'absent', wait))
    // What ignored the condition is there now.
    const current = await etagOf(store, name, wait)
    return {
      createOnly: createsOnce,
      compareAndSwap: compareAndSwap && (await swapsOnce(store, name, current, wait)),
      rangeReads: rangeReads && (await readsRange(store, name, wait)),
    }
  } finally {
    await store.delete(name).catch(() => undefined)
  }
}

const known = new WeakMap<ObjectStore, Promise<ObservedCapabilities>>()

/**
 * KvError `Unsupported` unless the store keeps to the conditions that pointers need. Each store is tried once
 * in its life.
 */
export async function mustKeepConditions(
  store: ObjectStore,
  prefix: string,
  wait: WaitOptions,
): Promise<void> {
  const { createOnly, compareAndSwap } = store.capabilities
  if (!createOnly || !compareAndSwap)
    throw new KvError('Unsupported', 'the store has no conditional writes: a pointer in it could go back')
  let probing = known.get(store)
  if (probing === undefined) {
    probing = probeObjectStore(store, prefix, wait)
    known.set(store, probing)
    probing.catch(() => known.delete(store))
  }
  const seen = await probing
  if (!seen.createOnly || !seen.compareAndSwap)
    throw new KvError(
      'Unsupported',
      `the store ignores the condition ${seen.createOnly ? 'of an etag' : 'absent'}: a pointer in it could go back`,
    )
}

async function refuses(
  store: ObjectStore,
  name: string,
  condition: 'absent' | { readonly etag: string },
  wait: WaitOptions,
): Promise<boolean> {
  return (await store.put(name, TWO, { ...wait, condition })) === 'conflict'
}

async function swapsOnce(
  store: ObjectStore,
  name: string,
  current: string | undefined,
  wait: WaitOptions,
): Promise<boolean> {
  if (current === undefined) return false
  const swapped = await store.put(name, TWO, { ...wait, condition: { etag: current } })
  if (swapped === 'conflict' || swapped.etag === current) return false
  // The etag from before, and one that never was.
  if (!(await refuses(store, name, { etag: current }, wait))) return false
  return refuses(store, name, { etag: STALE }, wait)
}

async function readsRange(store: ObjectStore, name: string, wait: WaitOptions): Promise<boolean> {
  const whole = await readAll(store, name, undefined, wait)
  const part = await readAll(store, name, { start: 4, length: 5 }, wait)
  return whole !== undefined && part !== undefined && Buffer.compare(part, whole.subarray(4, 9)) === 0
}

async function etagOf(store: ObjectStore, name: string, wait: WaitOptions): Promise<string | undefined> {
  const found = await store.get(name, wait)
  if (found === undefined) return undefined
  await collect(found.body, 1024)
  return found.etag
}

async function readAll(
  store: ObjectStore,
  name: string,
  range: { readonly start: number; readonly length: number } | undefined,
  wait: WaitOptions,
): Promise<Uint8Array | undefined> {
  const found = await store.get(name, { ...wait, range })
  return found && collect(found.body, 1024)
}

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { KvUpdate, SliceMessage } from '@slip/kv-core'
import { LmdbReader, LmdbSnapshot } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { expectState, IN_BULK, shown, stateOf } from './flooded.ts'
import { at, del, put, scratch } from './scratch.ts'

const STEPS = 30_000
const KEYS = 20_011

test('a large batch of a flood is laid over the fold in slices, and until it is whole reads see the commit before', async () => {
  const path = join(await scratch(), 'fold')
  const bulk = { ...IN_BULK, runBytes: 64 * 1024 * 1024 }
  let store = await LmdbSnapshot.open({ path, durability: 'os', bulk, walk: false })
  // Keys come again in one batch, far apart: the last step of each counts.
  const batchOf = (revision: number): KvUpdate[] =>
    Array.from({ length: STEPS }, (_, i) => {
      const key = `k${(i * 7_919 + revision) % KEYS}`
      return i % 9 === 0 && i > 0 ? del(key, revision) : put(key, `${revision}.${i}`, revision)
    })
  const all: KvUpdate[] = []
  const slices: number[] = []
  const listener = (message: unknown): void => {
    const { work, ms } = message as SliceMessage
    if (work === 'lmdb.layers') slices.push(ms)
  }
  for (const revision of [1, 2]) {
    const batch = batchOf(revision)
    batch.push(put('last', `${revision}`, revision))
    all.push(...batch)
    const applied = new AbortController()
    subscribe('slip:slice', listener)
    const applying = store.apply(batch, at(revision)).finally(() => applied.abort())
    let turns = 0
    while (!applied.signal.aborted) {
      turns++
      const before = store.cursor.revision
      const last = store.get('last')
      expect(last && Buffer.from(last.value).toString()).toBe(before?.toString())
      await nextTurn()
    }
    await applying
    unsubscribe('slip:slice', listener)
    console.log(
      `${turns} turns of the loop, ${slices.length} slices, ${Math.max(...slices).toFixed(1)} ms at most`,
    )
    // Some 30 pieces are sorted and then merged.
    expect(slices.length).toBeGreaterThan(4)
    slices.length = 0
    expectState(store, all, `at ${revision}`)
  }
  const reader = await LmdbReader.open({ path })
  expect(shown(reader)).toEqual(stateOf(all).live)
  all.push(put('k5', 'again', 3))
  await store.apply(all.slice(-1), at(3))
  expect(reader.refresh().revision).toBe(3n)
  expect(Buffer.from(reader.get('k5')!.value).toString()).toBe('again')
  await reader.close()
  await store.close()
  subscribe('slip:slice', listener)
  store = await LmdbSnapshot.open({ path, durability: 'os', bulk, walk: false })
  unsubscribe('slip:slice', listener)
  expect(slices.length, 'opened again').toBeGreaterThan(4)
  expectState(store, all, 'opened again')
  await store.close()
}, 120_000)

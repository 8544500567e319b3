import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { compareKeys } from '@slip/kv-core'
import { nodeFileSystem } from '@slip/kv-core/store-parts'
import { LmdbSnapshot, type LmdbOptions } from '@slip/store-lmdb'
import { afterEach, expect, test, vi } from 'vitest'
import { at, del, put, scratch, seededRandom } from './scratch.ts'

const LONG = 'long.'.repeat(200)
const BATCH = [put('k0', 'v', 100), put(LONG, 'v', 101), put('gone', 'v', 102), del('gone', 103)]
const KEYS = ['k0', LONG]
const IN_BULK = { fromEntries: 0, batchUpdates: 1, runBytes: 2_000, calmMs: 60_000 }
const FILLED: readonly [string, Partial<LmdbOptions>][] = [
  ['batch by batch', {}],
  ['in bulk', { bulk: IN_BULK }],
]

afterEach(() => {
  vi.restoreAllMocks()
})

async function staging(options: Partial<LmdbOptions>) {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, ...options })
  await store.apply([put('old', 'v', 1)], at(1))
  const staged = await store.stage()
  await staged.apply(BATCH, at(103))
  return { path, store, staged }
}

/** The store is as good as new after a staged fold was read and discarded. */
async function expectUsable(path: string, store: LmdbSnapshot): Promise<void> {
  await store.close()
  const reopened = await LmdbSnapshot.open({ path })
  await reopened.apply([put('on', 'v', 200)], at(200))
  expect(reopened.has('on')).toBe(true)
  await reopened.close()
}

test.each(FILLED)('the keys of a fold that is staged %s are its live ones', async (_, options) => {
  const { path, store, staged } = await staging(options)
  expect([...staged.keys()]).toEqual(KEYS)
  await staged.commit()
  expect(() => staged.keys()).toThrow(expect.objectContaining({ code: 'Closed' }))
  await expectUsable(path, store)
})

test.each(FILLED)(
  'they can be read after a commit that failed before the swap, staged %s',
  async (_, options) => {
    const { path, store, staged } = await staging(options)
    await mkdir(join(path, 'CURRENT.draft'))
    await expect(staged.commit()).rejects.toMatchObject({ code: 'Io' })
    await rm(join(path, 'CURRENT.draft'), { recursive: true })
    expect([...staged.keys()]).toEqual(KEYS)
    expect([...store.keys()]).toEqual(['old'])
    await staged.discard()
    expect(() => staged.keys()).toThrow(expect.objectContaining({ code: 'Closed' }))
    await expectUsable(path, store)
  },
)

test.each(FILLED)('there are none after one that failed behind it, staged %s', async (_, options) => {
  const { path, store, staged } = await staging(options)
  const failing = vi
    .spyOn(nodeFileSystem, 'syncDirectory')
    .mockRejectedValue(Object.assign(new Error('no sync'), { code: 'EIO' }))
  await expect(staged.commit()).rejects.toMatchObject({ code: 'Io' })
  failing.mockRestore()
  expect([...staged.keys()]).toEqual([])
  await staged.discard()
  await expectUsable(path, store)
})

test('a store that is closed lets go of a staged fold that was read', async () => {
  const { path, store, staged } = await staging({})
  await mkdir(join(path, 'CURRENT.draft'))
  await expect(staged.commit()).rejects.toMatchObject({ code: 'Io' })
  await rm(join(path, 'CURRENT.draft'), { recursive: true })
  expect([...staged.keys()]).toEqual(KEYS)
  await expectUsable(path, store)
  expect(() => staged.keys()).toThrow(expect.objectContaining({ code: 'Closed' }))
})

test.each(FILLED)(
  'whether a fold that is staged %s has a key is known in whatever order it is asked',
  async (_, options) => {
    const path = join(await scratch(), 'fold')
    const random = seededRandom('staged keys')
    const store = await LmdbSnapshot.open({ path, durability: 'os', ...options })
    const staged = await store.stage()
    const names = [
      ...Array.from({ length: 500 }, (_, i) => `k.${String(i).padStart(3, '0')}`),
      '\u00e9',
      '\ue000',
      '\u{1f600}.smile',
      '\uffff',
      `${LONG}a`,
      `${LONG}b`,
      `${LONG}\u{1f600}`,
    ].sort(compareKeys)
    const there = new Set<string>()
    const asked: Readonly<Record<string, () => readonly string[]>> = {
      'in order': () => names,
      'in order, few of them': () => names.filter((_, i) => i % 150 === random(150)),
      backwards: () => names.toReversed(),
      anyhow: () => Array.from({ length: 200 }, () => names[random(names.length)]!),
      'in order, also where there is none': () => names.flatMap((name) => [name, `${name}\u0001`]),
    }
    for (let revision = 1; revision <= 60; revision++) {
      const batch = Array.from({ length: 1 + random(60) }, () => {
        const key = names[random(names.length)]!
        const puts = random(3) > 0
        if (puts) there.add(key)
        else there.delete(key)
        return puts ? put(key, `v${revision}`, revision) : del(key, revision)
      })
      await staged.apply(batch, at(revision))
      for (const [how, keys] of Object.entries(asked)) {
        const wrong = keys().filter((key) => staged.has(key) !== there.has(key))
        expect(wrong, `after ${revision}, asked ${how}`).toEqual([])
      }
    }
    expect(staged.has('')).toBe(false)
    await staged.commit()
    await store.close()
  },
)

test.each(FILLED)('a batch between two questions is answered for, staged %s', async (_, options) => {
  const { store, staged } = await staging(options)
  await staged.apply([put('a', 'v', 104), put('d', 'v', 105)], at(105))
  expect(staged.has('a')).toBe(true)
  await staged.apply([put('b', 'v', 106), del('d', 107)], at(107))
  expect(['b', 'c', 'd', 'k0'].map((key) => staged.has(key))).toEqual([true, false, false, true])
  await store.close()
})

import { compareKeys, type KvUpdate } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { MemoryFold, type FoldImage } from '../src/memory/memory-fold.ts'
import type { KeyHash } from '../src/memory/key-hash.ts'
import {
  encode,
  everything,
  everythingOf,
  ModelFold,
  plain,
  put,
  removal,
  seededRandom,
  SEED,
  write,
} from './memory-model.ts'

const STEPS = Number(process.env['SLIP_CYCLES'] ?? 400)
const colliding: KeyHash = { wasAscii: false, of: () => 0xdead_beef }
const halfColliding: KeyHash = {
  wasAscii: false,
  of: (bytes, from, to) => ((to > from ? bytes[to - 1]! : 0) * 0x0101_0001) >>> 0,
}

describe.each([
  ['names kept', { keepDeleted: true, segmentBytes: 4096 }],
  ['names dropped', { keepDeleted: false, segmentBytes: 4096 }],
  ['every hash equal', { keepDeleted: false, segmentBytes: 8192, hash: colliding }],
  ['few hashes', { keepDeleted: true, segmentBytes: 4096, hash: halfColliding }],
])('a fold equals a map of last updates (%s)', (_, options) => {
  test.each([0, 1, 2])(`seed ${SEED} + %i`, (offset) => {
    const random = seededRandom(SEED + offset)
    const fold = new MemoryFold(options)
    const model = new ModelFold()
    const views: { view: FoldImage; model: ModelFold; expected: unknown }[] = []
    let listing: { left: Iterator<string>; expected: string[] } | undefined
    const space = [30, 400, 4000][offset]!
    let revision = 0
    const randomKey = (): string => {
      const n = Math.floor(random() * space)
      return ['', 'a.', 'a.b.', 'é', '\uE000', '😀', 'x'.repeat(130)][n % 7]! + String(n)
    }
    for (let step = 0; step < STEPS; step++) {
      const removals = step % 100 < 30 ? 0.8 : 0.2
      const batch: KvUpdate[] = []
      for (let i = Math.floor(random() * 40); i >= 0; i--) {
        revision++
        const key = randomKey()
        const size = random() < 0.02 ? 3000 + random() * 6000 : random() * 60
        batch.push(
          random() < removals
            ? removal(key, revision)
            : put(
                key,
                new Uint8Array(size).fill(revision & 255),
                revision,
                random() < 0.1 ? revision : undefined,
              ),
        )
      }
      if (random() < 0.5) write(fold, ...batch)
      else
        for (const update of batch) {
          const bytes = encode([update])
          fold.putRecords(bytes, 0, bytes.length)
        }
      for (const update of batch) model.apply(update)
      if (random() < 0.5) fold.maintain(random() * 0.3)

      for (const update of batch) expect(plain(fold.get(update.key))).toEqual(model.get(update.key))
      expect(fold.get(randomKey() + '?')).toBeUndefined()
      expect(fold.entriesCount).toBe(model.keys(true).length)
      expect(fold.deletedCount).toBe(options.keepDeleted ? model.keys(false).length : 0)
      if (random() < 0.1 && views.length < 3) {
        const copied = model.copy()
        views.push({ view: fold.view(), model: copied, expected: everythingOf(copied) })
      }
      if (random() < 0.1) {
        const checked = views.splice(Math.floor(random() * views.length), 1)[0]
        if (checked !== undefined) {
          expect(everything(checked.view)).toEqual(checked.expected)
          const key = randomKey()
          expect(plain(checked.view.get(key))).toEqual(checked.model.get(key))
          expect([...checked.view.deletedKeys()].map((listed) => listed.key)).toEqual(
            options.keepDeleted ? checked.model.keys(false) : [],
          )
          checked.view.close()
        }
      }
      if (listing === undefined) listing = { left: fold.keys(), expected: model.keys(true) }
      else
        for (let i = 0; i < 50 && listing !== undefined; i++) {
          const got = listing.left.next()
          expect(got.value).toBe(listing.expected.shift())
          if (got.done === true) listing = undefined
        }
      if (random() < 0.1) {
        const [a, b] = [randomKey(), randomKey()].sort(compareKeys)
        const bounds = { gte: a!, lt: b!, reverse: random() < 0.5, limit: Math.floor(random() * 50) }
        expect(fold.range('', bounds).map((entry) => entry.key)).toEqual(model.range('', bounds))
      }
    }
    for (const { view, expected } of views) {
      expect(everything(view)).toEqual(expected)
      view.close()
    }
    listing?.left.return?.()
    while (fold.maintain(1));
    expect(everything(fold)).toEqual(everythingOf(model))
    const copy = new MemoryFold(options)
    const walk = fold.liveRecords()
    while (walk.next()) copy.putRecords(walk.bytes, walk.start, walk.end)
    expect(copy.liveBytes).toBe(fold.liveBytes)
    expect(everything(copy)).toEqual(everythingOf(model))
    expect(fold.arenaBytes).toBeLessThan(fold.liveBytes * 2 + 4 * options.segmentBytes)
  })
})

describe('growth', () => {
  test('of 300,000 keys splits tables without losing one, and removing them leaves nothing', async () => {
    const fold = new MemoryFold({ keepDeleted: false })
    const count = 300_000
    for (let i = 0; i < count; i += 1000)
      write(fold, ...Array.from({ length: 1000 }, (_, j) => put(`key.${(i + j) * 7}`, 'v', i + j)))
    expect(fold.entriesCount).toBe(count)
    for (let i = 0; i < count; i++) if (!fold.has(`key.${i * 7}`)) throw new Error(`key.${i * 7} is lost`)
    for (let i = 0; i < 1000; i++) expect(fold.has(`key.${i * 7 + 1}`)).toBe(false)
    await fold.buildOrder()
    expect([fold.garbageDue, fold.orderDue]).toEqual([false, false])
    let last = ''
    let seen = 0
    for (const key of fold.keys()) {
      if (compareKeys(last, key) >= 0) throw new Error(`${key} after ${last}`)
      last = key
      seen++
    }
    expect(seen).toBe(count)
    for (let i = 0; i < count; i += 1000)
      write(fold, ...Array.from({ length: 1000 }, (_, j) => removal(`key.${(i + j) * 7}`, count + i)))
    while (fold.maintain(5));
    expect([fold.entriesCount, fold.liveBytes, fold.range('').length]).toEqual([0, 0, 0])
    expect(fold.arenaBytes).toBeLessThan(17 * 2 ** 20)
    write(fold, put('key.0', 'again', 1))
    expect([...fold.keys()]).toEqual(['key.0'])
  })

  test('with 22,000 keys of one hash still finds each', () => {
    const fold = new MemoryFold({
      keepDeleted: true,
      hash: { wasAscii: false, of: (bytes, _, to) => bytes[to - 1]! },
    })
    for (let i = 0; i < 22_000; i += 100)
      write(fold, ...Array.from({ length: 100 }, (_, j) => put(`k${i + j}`, 'v', 1)))
    for (let i = 0; i < 22_000; i += 997) expect(fold.has(`k${i}`)).toBe(true)
    expect(fold.entriesCount).toBe(22_000)
  })

  test('gives garbage back while a view is open, and keeps what the view needs', () => {
    const fold = new MemoryFold({ keepDeleted: true, segmentBytes: 64 * 1024 })
    const keys = Array.from({ length: 500 }, (_, i) => `k${i}`)
    write(fold, ...keys.map((key) => put(key, 'first', 1)))
    const view = fold.view()
    for (let round = 0; round < 100; round++) {
      write(fold, ...keys.map((key) => put(key, new Uint8Array(100), 2)))
      while (fold.maintain(1));
    }
    expect(fold.arenaBytes).toBeLessThan(fold.liveBytes * 2 + 2 * 64 * 1024)
    expect([...view.entries()].every((entry) => Buffer.from(entry.value).toString() === 'first')).toBe(true)
    view.close()
  })
})

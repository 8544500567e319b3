import { open, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { SnapshotError, type SliceMessage } from '@slip/kv-core'
import { LmdbReader, LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test, vi } from 'vitest'
import { BackgroundWalk, type WalkedFold } from '../dist/background-walk.js'
import { checkHead } from '../dist/head-check.js'
import { OpenFold } from '../dist/open-fold.js'
import { walkPages } from '../dist/page-walk.js'
import { at, del, plain, put, scratch, seededRandom } from './scratch.ts'

const FILE = 'fold-00000001.mdb'
const PAGE = 4096
const BESIDE_MS = Number(process.env['SLIP_READ_MS'] ?? 3_000)
const FAST = { everyMs: 1, bytesPerSecond: 2 ** 32 }
const PATIENT = { timeout: 60_000, interval: 20 }

test(
  'beside a writer at full speed the walk goes round and round and never sees damage',
  async () => {
    const path = join(await scratch(), 'fold')
    const random = seededRandom('walk beside a writer')
    const store = await LmdbSnapshot.open({ path, durability: 'os', walk: FAST })
    const found: SnapshotError[] = []
    store.whenDamaged((damage) => found.push(damage))
    let revision = 0
    const until = performance.now() + BESIDE_MS
    while (performance.now() < until) {
      revision++
      const batch = Array.from({ length: 1 + random(300) }, () => {
        const key = `k${random(8_000)}`
        const bytes = random(random(40) === 0 ? 30_000 : 400)
        return random(4) === 0 ? del(key, revision) : put(key, new Uint8Array(bytes), revision)
      })
      await store.apply(batch, at(revision))
      if (revision % 100 === 0) await store.compact()
    }
    await vi.waitFor(() => expect(store.walked!.rounds).toBeGreaterThan(1), PATIENT)
    console.log(`${store.walked!.rounds} rounds, ${store.walked!.pages} pages beside ${revision} commits`)
    expect(found).toEqual([])
    await store.close()
    expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', cursor: at(revision) })
  },
  120_000 + BESIDE_MS,
)

test.each(['a record', 'a page', 'the end'])(
  'damage to %s of an open fold is found within one round, ends the handle, and is met by the next opener',
  async (what) => {
    const path = join(await scratch(), 'fold')
    await filled(path)
    const store = await LmdbSnapshot.open({ path, walk: FAST })
    await vi.waitFor(() => expect(store.walked!.rounds).toBeGreaterThan(0), PATIENT)
    const before = plain(store)
    const view = store.view()
    const found = new Promise<SnapshotError>((resolve) => store.whenDamaged(resolve))
    await damage(join(path, FILE), what)
    const error = await found
    expect(SnapshotError.is(error)).toBe(true)
    expect(error).toMatchObject({
      code: 'Corrupted',
      path: join(path, FILE),
      at: expect.any(Number) as number,
    })
    expect(() => store.get('key.1')).toThrow(error)
    expect(() => store.range('key')).toThrow(error)
    await expect(store.apply([put('a', 'b', 99)], at(99))).rejects.toBe(error)
    await expect(store.compact()).rejects.toBe(error)
    expect(view.cursor).toEqual(at(1))
    view.close()
    expect(store.cursor).toEqual(at(1))
    const again = await new Promise<SnapshotError>((resolve) => store.whenDamaged(resolve))
    expect(again).toBe(error)
    const { rounds } = store.walked!
    await store.close()
    console.log(`${before.length} entries, found after ${rounds} rounds: ${error.message.split(': ').pop()}`)

    const leave = await readFile(join(path, FILE))
    await expect(LmdbSnapshot.open({ path, walk: false })).rejects.toMatchObject({ code: 'Corrupted' })
    expect((await readFile(join(path, FILE))).equals(leave), 'it is left as it was').toBe(true)
    await expect(stat(join(path, 'DAMAGED'))).resolves.toBeDefined()
  },
  120_000,
)

test('a fold that was marked and is whole is opened, and the mark goes', async () => {
  const path = join(await scratch(), 'fold')
  await filled(path)
  await writeFile(join(path, 'DAMAGED'), '')
  const store = await LmdbSnapshot.open({ path, walk: false })
  expect(store.stats.entries).toBe(3_000)
  expect(store.walked).toBeUndefined()
  await store.close()
  await expect(stat(join(path, 'DAMAGED'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a staged fold that takes the place of a damaged one makes the handle whole again', async () => {
  const path = join(await scratch(), 'fold')
  await filled(path)
  const store = await LmdbSnapshot.open({ path, walk: FAST })
  const found = new Promise<SnapshotError>((resolve) => store.whenDamaged(resolve))
  await damage(join(path, FILE), 'a record')
  await found
  const staged = await store.stage()
  await staged.apply([put('a', 'new', 5)], at(5))
  await staged.commit()
  expect(plain(store).map(([key]) => key)).toEqual(['a'])
  await store.apply([put('b', 'new', 6)], at(6))
  const { rounds } = store.walked!
  await vi.waitFor(() => expect(store.walked!.rounds).toBeGreaterThan(rounds), PATIENT)
  await store.close()
  await (await LmdbSnapshot.open({ path, walk: false })).close()
})

test('readers are told at their next look of damage that the writer found, until another fold is in its place', async () => {
  const path = join(await scratch(), 'fold')
  await filled(path)
  const store = await LmdbSnapshot.open({ path, walk: FAST })
  const reader = await LmdbReader.open({ path })
  const view = reader.view()
  const found = new Promise<SnapshotError>((resolve) => store.whenDamaged(resolve))
  await damage(join(path, FILE), 'a record')
  await found
  const corrupted = expect.objectContaining({ code: 'Corrupted', path: join(path, FILE) }) as unknown
  expect(() => reader.refresh()).toThrow(corrupted)
  expect(() => reader.get('key.1')).toThrow(corrupted)
  expect(() => reader.view()).toThrow(corrupted)
  await expect(reader.waitFor(2n)).rejects.toEqual(corrupted)
  await expect(LmdbReader.open({ path })).rejects.toEqual(corrupted)
  expect(view.cursor).toEqual(at(1))
  view.close()

  const staged = await store.stage()
  await staged.apply([put('a', 'new', 5)], at(5))
  await staged.commit()
  await vi.waitFor(() => expect(reader.refresh()).toEqual(at(5)), PATIENT)
  expect(plain(reader).map(([key]) => key)).toEqual(['a'])
  await reader.close()
  await store.close()
})

test('a reader opens a fold that was marked and is whole, and believes the next mark', async () => {
  const path = join(await scratch(), 'fold')
  await filled(path)
  const mark = join(path, 'DAMAGED')
  await writeFile(mark, '')
  const reader = await LmdbReader.open({ path })
  expect(reader.refresh()).toEqual(at(1))
  expect(reader.stats.entries).toBe(3_000)
  await writeFile(`${mark}.next`, '')
  await rename(`${mark}.next`, mark)
  expect(() => reader.refresh()).toThrow(expect.objectContaining({ code: 'Corrupted' }))
  await reader.close()
})

test('a stretch is walked while its commit is pinned, is as long as a tenth of a second allows, and then the walk waits', async () => {
  const path = join(await scratch(), 'fold')
  await filled(path, 60_000)
  const fold = await openFold(path)
  const bytesPerSecond = Math.round((await stat(fold.file)).size / 200)
  const began: { readonly pages: number; readonly ms: number }[] = []
  let pinned = 0
  const pin = (): ReturnType<WalkedFold['pin']> => {
    const cut = fold.pin()
    began.push({ pages: walk.progress.pages, ms: performance.now() })
    pinned++
    return {
      state: cut.state,
      isOpen: true,
      release: () => {
        pinned--
        cut.release()
      },
    }
  }
  const during: number[] = []
  const listen = (message: unknown): void => {
    if ((message as SliceMessage).work === 'lmdb.check') during.push(pinned)
  }
  const walk = new BackgroundWalk(() => ({ file: fold.file, pin }), { everyMs: 1, bytesPerSecond }, fail)
  subscribe('slip:slice:start', listen)
  subscribe('slip:slice', listen)
  await vi.waitFor(() => expect(began.length).toBeGreaterThan(10), PATIENT)
  await walk.close()
  unsubscribe('slip:slice:start', listen)
  unsubscribe('slip:slice', listen)
  await fold.close()
  expect(pinned).toBe(0)
  expect(new Set(during)).toEqual(new Set([1]))
  const stretches = began.slice(1).map(({ pages, ms }, i) => ({
    bytes: (pages - began[i]!.pages) * PAGE,
    ms: ms - began[i]!.ms,
  }))
  console.log(stretches.map(({ bytes, ms }) => `${bytes} in ${Math.round(ms)} ms`).join(', '))
  for (const { bytes, ms } of stretches) {
    // There are pages above the leaves, and a leaf is read whole.
    expect(bytes).toBeLessThan(bytesPerSecond / 10 + 16 * PAGE)
    expect(ms).toBeGreaterThan((bytes / bytesPerSecond) * 1_000 - 20)
  }
}, 120_000)

test('the walk holds the event loop for short slices, and reads no faster than it may', async () => {
  const path = join(await scratch(), 'fold')
  await filled(path, 60_000)
  const { size } = await stat(join(path, FILE))
  const slices: number[] = []
  const listen = (message: unknown): void => {
    const { work, ms } = message as SliceMessage
    if (work === 'lmdb.check') slices.push(ms)
  }
  const store = await LmdbSnapshot.open({ path, walk: { everyMs: 1, bytesPerSecond: size / 2 } })
  subscribe('slip:slice', listen)
  const from = performance.now()
  await vi.waitFor(() => expect(store.walked!.rounds).toBe(1), PATIENT)
  const took = performance.now() - from
  unsubscribe('slip:slice', listen)
  await store.close()
  slices.sort((a, b) => a - b)
  const median = slices[slices.length >> 1]!
  console.log(
    `${size} bytes in ${Math.round(took)} ms, ${slices.length} slices, median ${median.toFixed(2)} ms`,
  )
  expect(took).toBeGreaterThan(1_000)
  expect(slices.length).toBeGreaterThan(10)
  expect(median).toBeLessThan(8)
}, 120_000)

async function fail(damage: SnapshotError): Promise<void> {
  throw damage
}

async function openFold(path: string): Promise<OpenFold> {
  const [, , name, id] = (await readFile(join(path, 'CURRENT'), 'latin1')).split(' ')
  const how = { make: false, check: 'head', synced: false, isRead: true, maxReaders: 8 } as const
  return OpenFold.open({ file: join(path, name!), foldId: Buffer.from(id!, 'hex'), ...how })
}

async function filled(path: string, entries = 3_000): Promise<void> {
  const store = await LmdbSnapshot.open({ path, durability: 'os', walk: false })
  await store.apply(
    Array.from({ length: entries }, (_, i) => put(`key.${i}`, `${i}`.repeat(40), 1)),
    at(1),
  )
  await store.close()
}

/** Changes the file without changing its place, as a disk would. */
async function damage(path: string, what: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const head = await checkHead(file)
    if (head.verdict !== 'plausible') throw new Error(head.what)
    const { root } = (await walkPages(file, head.meta)).databases.get('data')!
    const bytes = await readFile(path)
    const child = bytes.readUInt16LE(root! * PAGE + 24)
    const leaf = bytes.readUInt32LE(root! * PAGE + 24 + child)
    const at = what === 'a page' ? leaf * PAGE : leaf * PAGE + PAGE - 20
    if (what === 'the end') {
      // A page of zeros where the last one of the tree was: what a hole in a file reads as.
      await file.write(Buffer.alloc(PAGE), 0, PAGE, lastLeaf(bytes, root!) * PAGE)
      return
    }
    const changed = Buffer.from(bytes.subarray(at, at + (what === 'a page' ? 24 : 1)))
    for (let i = 0; i < changed.length; i++) changed[i]! ^= 0x41
    await file.write(changed, 0, changed.length, at)
  } finally {
    await file.close()
  }
}

function lastLeaf(bytes: Buffer, root: number): number {
  const page = root * PAGE + 24
  const nodes = bytes.readUInt16LE(root * PAGE + 20) >> 1
  return bytes.readUInt32LE(page + bytes.readUInt16LE(page + 2 * (nodes - 1)))
}

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LmdbReader, LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { at, del, put, scratch, seededRandom } from './scratch.ts'

const VERIFY_MS = Number(process.env['SLIP_READ_MS'] ?? 3_000)
/** However slow the machine is. */
const LEAST = 5

test(
  'verify beside a writer at full speed reads one commit whole, and neither sees damage nor goes back',
  async () => {
    const path = join(await scratch(), 'fold')
    const random = seededRandom('verify beside a writer')
    const store = await LmdbSnapshot.open({ path, durability: 'os' })
    const ended = new AbortController()
    let revision = 0
    const writing = (async () => {
      while (!ended.signal.aborted) {
        revision++
        const batch = Array.from({ length: 1 + random(300) }, () => {
          const key = `k${random(2_000)}`
          const bytes = random(random(40) === 0 ? 30_000 : 400)
          return random(4) === 0 ? del(key, revision) : put(key, new Uint8Array(bytes), revision)
        })
        await store.apply(batch, at(revision))
        if (revision % 400 === 0) await store.compact()
      }
    })()
    let [verified, last] = [0, 0n]
    for (
      const until = performance.now() + VERIFY_MS;
      performance.now() < until || verified < LEAST;
      verified++
    ) {
      const found = await verifyLmdb(path)
      expect(found).toMatchObject({ verdict: 'intact', generation: 2 })
      const seen = found.verdict === 'intact' ? (found.cursor.revision ?? 0n) : -1n
      expect(seen).toBeGreaterThanOrEqual(last)
      last = seen
    }
    ended.abort()
    await writing
    await store.close()
    console.log(`${verified} verdicts beside ${revision} commits`)
    expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', cursor: at(revision) })
  },
  60_000 + VERIFY_MS,
)

test('damage is told beside a writer too', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('a', 'x'.repeat(500), 1)], at(1))
  await store.close()
  const file = join(path, 'fold-00000001.mdb')
  const bytes = await readFile(file)
  bytes[bytes.indexOf('x'.repeat(500)) + 250]! ^= 1
  await writeFile(file, bytes)
  const writer = await LmdbSnapshot.open({ path })
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'corrupt', bytes: expect.any(Number) })
  await writer.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'corrupt' })
})

test('a reader says who writes, how much is free, and who reads how far behind', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('a', 'x'.repeat(100_000), 1)], at(1))
  const reader = await LmdbReader.open({ path })
  const empty = await reader.usage()
  for (let revision = 2; revision < 12; revision++) await store.apply([del('a', revision)], at(revision))
  expect(await reader.holder()).toMatchObject({ pid: process.pid })
  const used = await reader.usage()
  expect(used.freeBytes).toBeGreaterThan(empty.freeBytes + 90_000)
  expect(used.fileBytes).toBeGreaterThanOrEqual(used.freeBytes)
  expect(used.readers.every(({ pid }) => pid === process.pid)).toBe(true)
  expect(Math.max(...used.readers.map(({ behind }) => behind))).toBe(10)
  reader.refresh()
  expect(Math.max(...(await store.usage()).readers.map(({ behind }) => behind))).toBe(0)
  await store.close()
  expect(await reader.holder()).toBeUndefined()
  await reader.close()
})

test('a directory that a crash left without its first file is an empty fold; the file of another one is refused', async () => {
  const directory = await scratch()
  const born = join(directory, 'born')
  await mkdir(born)
  expect(await verifyLmdb(born)).toMatchObject({ verdict: 'intact', entries: 0, bytes: 0 })
  expect(await verifyLmdb(join(directory, 'none'))).toEqual({ verdict: 'missing' })
  const [a, b] = [join(directory, 'a'), join(directory, 'b')]
  for (const path of [a, b]) await (await LmdbSnapshot.open({ path })).close()
  await writeFile(join(a, 'fold-00000001.mdb'), await readFile(join(b, 'fold-00000001.mdb')))
  await expect(LmdbReader.open({ path: a })).rejects.toMatchObject({ code: 'ForeignFold' })
  expect(await verifyLmdb(a)).toMatchObject({ verdict: 'foreign' })
})

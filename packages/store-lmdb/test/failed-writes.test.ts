import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { LmdbReader, LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { readMeta } from '../dist/lmdb-page.js'
import { at, plain, put, scratch } from './scratch.ts'

const run = promisify(execFile)
const FILE = 'fold-00000001.mdb'
const PAGE_BYTES = 4096
/** Of the trees of free pages and of databases in a meta page. */
const TREES = [48, 144] as const
const LARGE_VALUES = fileURLToPath(new URL('large-values-child.mjs', import.meta.url))

test('a meta page with the trees of a commit that failed, as the library leaves it, is no damage', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  for (let i = 1; i <= 6; i++)
    await store.apply([put(`k${i}`, new Uint8Array(9_000), i), put(`s${i}`, 'v', i)], at(i))
  const expected = plain(store)
  await store.close()
  const file = join(path, FILE)
  const bytes = await readFile(file)
  const [newest, older] = metasOf(bytes)
  const written = (root: number): Buffer => {
    const failed = Buffer.from(bytes)
    failed.copy(failed, older.at + TREES[0], newest.at + TREES[0], newest.at + TREES[1])
    failed.writeBigUInt64LE(BigInt(root), older.at + 96 + 40)
    return failed
  }
  const pages = bytes.length / PAGE_BYTES
  // What failed had grown the file, and put its root behind the last page of the older commit.
  expect(older.lastPage).toBeLessThan(pages - 1)

  await writeFile(file, written(pages - 1))
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact' })
  const reader = await LmdbReader.open({ path })
  expect(plain(reader)).toEqual(expected)
  await reader.close()
  const reopened = await LmdbSnapshot.open({ path, durability: 'os' })
  expect([reopened.cursor.revision, plain(reopened)]).toEqual([6n, expected])
  await reopened.apply([put('next', 'v', 7)], at(7))
  await reopened.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: 13 })

  await writeFile(file, written(pages))
  await expect(LmdbSnapshot.open({ path })).rejects.toMatchObject({ code: 'Corrupted', at: older.at })
})

test('a batch for which the disk has no room is refused, and ends no process', async (context) => {
  const disk = join(await scratch(), 'disk')
  await mkdir(disk)
  const mounting = run('mount', ['-t', 'tmpfs', '-o', 'size=50331648,mode=700', 'tmpfs', disk])
  const mounted = await mounting.then(
    () => true,
    () => false,
  )
  if (!mounted) context.skip('no small file system can be mounted here: that needs Linux and root')
  try {
    const path = join(disk, 'fold')
    const ballast = join(disk, 'ballast')
    for (const [i, durability] of ['os', 'batch'].entries()) {
      const { stdout } = await run(process.execPath, [LARGE_VALUES, path, durability, ballast])
      const acknowledged = 2 * (i + 1)
      expect(JSON.parse(stdout)).toEqual({ acknowledged, code: 'Io', after: 'Io' })
      await rm(ballast)
      const store = await LmdbSnapshot.open({ path })
      expect([Number(store.cursor.revision), store.stats.entries]).toEqual([acknowledged, acknowledged * 3])
      await store.close()
    }
  } finally {
    await run('umount', [disk])
  }
})

interface Meta {
  readonly at: number
  readonly lastPage: number
}

/** The newest first. */
function metasOf(bytes: Buffer): [Meta, Meta] {
  const [first, second] = [0, PAGE_BYTES].map((from) => {
    const meta = readMeta(bytes, from)
    if (typeof meta === 'string') throw new Error(meta)
    return { at: from, ...meta }
  })
  return first!.transaction > second!.transaction ? [first!, second!] : [second!, first!]
}

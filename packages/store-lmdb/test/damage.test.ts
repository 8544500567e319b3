import { mkdir, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LmdbSnapshot, verifyLmdb, type BulkOptions } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { checkHead } from '../dist/head-check.js'
import { walkPages } from '../dist/page-walk.js'
import { askChild as ask, type Found } from './ask-child.ts'
import { DAMAGES } from './damage.ts'
import { IN_BULK } from './flooded.ts'
import { at, del, put, scratch, seededRandom } from './scratch.ts'

const CASES = Number(process.env['SLIP_CASES'] ?? 24)
const FILE = 'fold-00000001.mdb'
const CODES = ['InvalidFormat', 'Corrupted', 'ForeignFold']

test.each([
  ['of a fold', {}],
  ['of a fold in layers', { bulk: IN_BULK }],
])(
  `a file %s, damaged in ${CASES} seeded ways, never kills who opens it, and no check lets wrong data pass`,
  async (_, how) => {
    const directory = await scratch()
    const random = seededRandom('damage')
    const original = await fill(join(directory, 'original'), how)
    const other = await fill(join(directory, 'other'), { ...how, name: 'route' })
    const tally: Record<string, number> = {}
    for (let i = 0; i < CASES; i++) {
      const damage = DAMAGES[i % DAMAGES.length]!(original.bytes, random, other.bytes)
      const path = join(directory, `case-${i}`)
      await mkdir(path)
      await writeFile(join(path, 'CURRENT'), original.current)
      const restore = async (): Promise<void> => writeFile(join(path, FILE), damage.bytes)

      await restore()
      const verdict = await verifyLmdb(path)
      expect(verdict.verdict, damage.what).not.toBe('missing')
      tally[verdict.verdict] = (tally[verdict.verdict] ?? 0) + 1
      for (const check of ['records', 'structure'] as const) {
        const found = await ask({ how: 'write', path, check })
        expectSame(found, original.expected, `${damage.what}, opened with check ${check}`)
        if (verdict.verdict !== 'intact' && check === 'records') expect(CODES).toContain(found.code)
        await restore()
      }
      const payload = `${path}-given`
      await mkdir(payload)
      await writeFile(join(payload, 'fold.mdb'), damage.bytes)
      const adopted = await ask({ how: 'adopt', path: payload })
      expectSame(adopted, original.expected, `${damage.what}, adopted`)
      if (verdict.verdict !== 'intact') expect(CODES, damage.what).toContain(adopted.code)
      for (const how of ['copy', 'walk']) {
        const found = await ask({ how, path })
        expectSame(found, original.expected, `${damage.what}, opened, and then: ${how}`)
        if (found.code !== undefined) tally[how] = (tally[how] ?? 0) + 1
        await rm(join(path, 'DAMAGED'), { force: true })
        await restore()
      }
      for (const how of ['write', 'read']) {
        const found = await ask({ how, path, check: 'head' })
        if (found.code === undefined)
          expect(found, damage.what).toEqual({ revision: original.expected.revision })
        else expect(CODES, damage.what).toContain(found.code)
        await restore()
      }
    }
    console.log(`${CASES} damaged files: ${JSON.stringify(tally)}`)
    // Damage to free pages and zeros behind the end are none; most of the rest is.
    expect(tally['corrupt']).toBeGreaterThan(CASES / 4)
    expect(tally['intact']).toBeGreaterThan(CASES / 20)
  },
  60_000 + CASES * 10_000,
)

test('what is not ours, and a fold whose file is another fold’s, is refused and left as it was', async () => {
  const directory = await scratch()
  const [a, b] = [join(directory, 'a'), join(directory, 'b')]
  await fill(a)
  await fill(b)
  const swapped = await readFile(join(b, FILE))
  await writeFile(join(a, FILE), swapped)
  await expect(LmdbSnapshot.open({ path: a })).rejects.toMatchObject({ code: 'ForeignFold' })
  expect((await readFile(join(a, FILE))).equals(swapped)).toBe(true)
  expect(await verifyLmdb(a)).toMatchObject({ verdict: 'foreign' })

  const file = join(directory, 'a-file')
  await writeFile(file, 'not a directory')
  await expect(LmdbSnapshot.open({ path: file })).rejects.toMatchObject({ code: 'InvalidFormat', at: 0 })
  expect(await readFile(file, 'utf8')).toBe('not a directory')

  const foreign = join(directory, 'foreign')
  await mkdir(foreign)
  await writeFile(join(foreign, 'notes.txt'), 'mine')
  await expect(LmdbSnapshot.open({ path: foreign })).rejects.toMatchObject({ code: 'InvalidFormat', at: 0 })
  expect(await readFile(join(foreign, 'notes.txt'), 'utf8')).toBe('mine')

  await writeFile(join(b, 'CURRENT'), `slip-lmdb 2 ${FILE} ${'0'.repeat(32)} 00000000\n`)
  await expect(LmdbSnapshot.open({ path: b })).rejects.toMatchObject({ code: 'Corrupted' })
})

test('the records of another fold with the same keys are damage where checksums are looked at', async () => {
  const directory = await scratch()
  const [ours, theirs] = [join(directory, 'ours'), join(directory, 'theirs')]
  for (const path of [ours, theirs]) {
    const store = await LmdbSnapshot.open({ path })
    await store.apply(
      Array.from({ length: 200 }, (_, i) =>
        put(`k${i}`, `of ${path === ours ? 'ours' : 'them'} `.repeat(10), i + 1),
      ),
      at(200),
    )
    await store.close()
  }
  const name = 'fold-00000001.mdb'
  const [file, others] = await Promise.all([readFile(join(ours, name)), readFile(join(theirs, name))])
  const leaves = Array.from({ length: file.length / 4096 }, (_, page) => page * 4096).filter(
    (from) => from >= 8192 && file.subarray(from, from + 4096).includes('of ours'),
  )
  expect(leaves.length).toBeGreaterThan(3)
  const [, from = 0] = leaves
  others.copy(file, from, from, from + 4096)
  await writeFile(join(ours, name), file)
  expect(await verifyLmdb(ours)).toMatchObject({ verdict: 'corrupt' })
  const store = await LmdbSnapshot.open({ path: ours, verifyReads: true })
  expect(() => [...store.entries()]).toThrow(expect.objectContaining({ code: 'Corrupted' }))
  await store.close()
})

test('a file that CURRENT names and that is no fold any more is damage, so that a follower sets it aside', async () => {
  const path = join(await scratch(), 'fold')
  const { bytes } = await fill(path)
  const file = join(path, FILE)
  const zeroed = Buffer.from(bytes).fill(0, 0, 4096)
  for (const left of [new Uint8Array(0), bytes.subarray(0, 100), zeroed, Buffer.from('somebody else')]) {
    await writeFile(file, left)
    for (const how of ['write', 'read'])
      expect(await ask({ how, path, check: 'head' })).toEqual({ code: 'Corrupted' })
    expect((await readFile(file)).equals(left)).toBe(true)
    expect(await verifyLmdb(path)).toMatchObject({ verdict: 'corrupt', at: 0 })
  }
  await rm(file)
  expect(await ask({ how: 'write', path, check: 'head' })).toEqual({ code: 'Corrupted' })
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'corrupt' })
})

test('a root page that opening or committing would touch is checked before, whatever became of it', async () => {
  const path = join(await scratch(), 'fold')
  const { bytes, expected } = await fill(path)
  const handle = await open(join(path, FILE))
  const head = await checkHead(handle)
  if (head.verdict !== 'plausible') throw new Error(head.what)
  const { databases } = await walkPages(handle, head.meta)
  await handle.close()
  const { freeTree, mainTree } = head.meta
  const roots = { free: freeTree.root, main: mainTree.root, meta: databases.get('meta')?.root }
  for (const [name, root] of Object.entries(roots))
    for (const [how, byte] of [
      ['zeroed', () => 0],
      ['noise', (at: number) => (at * 167 + 13) & 255],
    ] as const) {
      const damaged = Buffer.from(bytes)
      for (let i = 0; i < 4096; i++) damaged[root! * 4096 + i] = byte(i)
      await writeFile(join(path, FILE), damaged)
      const found = await ask({ how: 'write', path, check: 'head' })
      expect(found, `root of ${name} ${how}`).toEqual({ code: 'Corrupted' })
      expect((await readFile(join(path, FILE))).equals(damaged), 'it is left as it was').toBe(true)
    }
  await writeFile(join(path, FILE), bytes)
  expect(await ask({ how: 'write', path, check: 'records' })).toEqual(expected)
})

test('a key in a branch that would send searches to the wrong page is damage, whichever way it is wrong', async () => {
  const path = join(await scratch(), 'fold')
  const { bytes, expected } = await fill(path)
  const handle = await open(join(path, FILE))
  const head = await checkHead(handle)
  if (head.verdict !== 'plausible') throw new Error(head.what)
  const { databases } = await walkPages(handle, head.meta)
  await handle.close()
  const root = databases.get('data')!.root! * 4096
  const nodes = bytes.readUInt16LE(root + 20) >> 1
  expect(nodes).toBeGreaterThan(3)
  for (let i = 1; i < nodes; i++) {
    const node = root + 24 + bytes.readUInt16LE(root + 24 + 2 * i)
    const keyBytes = bytes.readUInt16LE(node + 6)
    for (const by of [1, -1]) {
      const damaged = Buffer.from(bytes)
      damaged[node + 8]! += by
      await writeFile(join(path, FILE), damaged)
      const what = `the first of ${keyBytes} bytes of separator ${i} ${by}`
      expect(await verifyLmdb(path), what).toMatchObject({ verdict: 'corrupt' })
    }
  }
  await writeFile(join(path, FILE), bytes)
  expect(await ask({ how: 'write', path, check: 'records' })).toEqual(expected)
})

test('a commit that frees its own last pages leaves no file that looks cut short, and one that legally is opens', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  await store.apply([put('kept', 'v', 1)], at(1))
  await store.apply([put('big', new Uint8Array(1_000_000), 2), del('big', 3)], at(3))
  await store.close()
  const file = join(path, FILE)
  const whole = await readFile(file)
  const head = await headOf(file)
  expect(head).toMatchObject({ verdict: 'plausible', missingBytes: 0 })
  expect(whole.length).toBeGreaterThan(1_000_000)

  let used = whole.length
  while (whole.subarray(used - 4096, used).every((byte) => byte === 0)) used -= 4096
  await truncate(file, used)
  expect(await headOf(file)).toMatchObject({ missingBytes: whole.length - used })
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: 1 })
  const reopened = await LmdbSnapshot.open({ path, durability: 'os' })
  expect([...reopened.keys()]).toEqual(['kept'])
  await reopened.apply([put('more', 'v', 4)], at(4))
  await reopened.close()
  expect(await headOf(file)).toMatchObject({ missingBytes: 0 })
})

async function headOf(path: string): Promise<unknown> {
  const file = await open(path)
  try {
    return await checkHead(file)
  } finally {
    await file.close()
  }
}

function expectSame(found: Found, expected: Found, what: string): void {
  if (found.code !== undefined) expect(CODES, what).toContain(found.code)
  else expect(found, what).toEqual(expected)
}

/** A fold of several levels, with long keys, large values, free pages and deleted keys. */
async function fill(
  path: string,
  { name = 'key', bulk }: { readonly name?: string; readonly bulk?: BulkOptions } = {},
): Promise<{ bytes: Buffer; current: string; expected: Found }> {
  const store = await LmdbSnapshot.open({
    path,
    durability: 'os',
    ...(bulk === undefined ? {} : { bulk }),
  })
  const long = `long.${'x'.repeat(600)}`
  let revision = 0
  for (let round = 0; round < 6; round++) {
    const batch = Array.from({ length: 200 }, (_, i) =>
      put(`${name}.${(i * 37 + round * 11) % 900}`, `${round}.${'v'.repeat(i % 300)}`, ++revision),
    )
    batch.push(
      put(`${long}.${round}`, 'long', ++revision),
      put(`big.${round}`, 'b'.repeat(20_000), ++revision),
    )
    batch.push(del(`${name}.${round * 3}`, ++revision), del(`never.${round}`, ++revision))
    await store.apply(batch, at(revision), { lineage: new Uint8Array(6_000).fill(round) })
  }
  const expected = {
    revision,
    entries: [...store.entries()].map(({ key, value }): [string, string] => [
      key,
      Buffer.from(value).toString('latin1'),
    ]),
    deleted: [...store.deletedKeys()].map(({ key }) => key),
  }
  await store.close()
  return {
    bytes: await readFile(join(path, FILE)),
    current: await readFile(join(path, 'CURRENT'), 'utf8'),
    expected,
  }
}

test('a commit that meets damage says so, and the next opener reads all of the fold first', async () => {
  const path = join(await scratch(), 'fold')
  const updates = Array.from({ length: 400 }, (_, i) => put(`k${1_000 + i}`, `value ${1_000 + i}`, 1))
  const first = await LmdbSnapshot.open({ path })
  await first.apply(updates, at(1))
  await first.close()
  const bytes = await readFile(join(path, FILE))
  const where = bytes.indexOf('value 1200')
  const damaged = Buffer.from(bytes).fill(0, where - (where % 4096), where - (where % 4096) + 4096)
  await writeFile(join(path, FILE), damaged)
  const store = await LmdbSnapshot.open({ path, walk: false })
  await expect(store.apply([put('k1200', 'new', 2)], at(2))).rejects.toMatchObject({ code: 'Corrupted' })
  await store.close()
  await expect(LmdbSnapshot.open({ path, walk: false })).rejects.toMatchObject({ code: 'Corrupted' })
  await writeFile(join(path, FILE), bytes)
  const mended = await LmdbSnapshot.open({ path, walk: false })
  expect(mended.stats.entries).toBe(400)
  await mended.close()
  await expect(stat(join(path, 'DAMAGED'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a meta page that claims more pages than there can be is damage, not a want of memory', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('a', 'v', 1)], at(1))
  await store.close()
  const file = join(path, FILE)
  const bytes = await readFile(file)
  // The upper half of the number of the last page, in both meta pages.
  for (const meta of [0, 4096]) bytes.writeUInt32LE(0x2800, meta + 148)
  await writeFile(file, bytes)
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'corrupt', at: 0 })
  await expect(LmdbSnapshot.open({ path })).rejects.toMatchObject({ code: 'Corrupted' })
})

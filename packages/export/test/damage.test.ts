import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { exportSnapshot, importSnapshot, MANIFEST_FILE, SIGNATURE_FILE, verifyArtifact } from '@slip/export'
import { appendLog } from '@slip/store-applog'
import { expect, test } from 'vitest'
import { LINEAGE } from './folds.ts'
import { INTEROP } from './interop.ts'
import { at, plain, put, scratch, seededRandom, type PlainEntry } from './scratch.ts'

/** Every byte and each bit of it; else each seventh byte, from a random one on. */
const FULL = process.env['SLIP_ARTIFACT_FLIPS'] === 'full'
const FLIPS = FULL ? [255, 1, 2, 4, 8, 16, 32, 64, 128] : [255]
const STEP = FULL ? 1 : 7
const random = seededRandom('flipped bytes')

/** The flips in the files of an artifact that are not noticed, by the text around them. */
async function unnoticed(
  artifact: string,
  read: (artifact: string) => Promise<unknown> = verifyArtifact,
  step: number = STEP,
): Promise<string[]> {
  const names = (await readdir(artifact, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  const missed: string[] = []
  let tried = 0
  for (const path of names) {
    const whole = await readFile(path)
    for (let i = random(step); i < whole.length; i += step)
      for (const flip of FLIPS) {
        const bent = Buffer.from(whole)
        bent[i]! ^= flip
        await writeFile(path, bent)
        tried++
        const error = await read(artifact).then(
          () => undefined,
          (thrown: unknown) => thrown as { readonly code?: string },
        )
        if (error === undefined) missed.push(whole.toString('latin1', Math.max(0, i - 30), i + 1))
        else expect(error.code).toBe('ArtifactInvalid')
      }
    await writeFile(path, whole)
  }
  console.log(`${tried} flips in ${names.length} files, ${missed.length} not noticed`)
  return missed
}

async function small(options: Parameters<typeof exportSnapshot>[2], value = 'two'): Promise<string> {
  const store = await appendLog({ path: join(await scratch(), 'source') }).open()
  await store.apply([put('a', 'one', 1), put('b', value, 2)], at(2), { lineage: LINEAGE })
  const artifact = join(await scratch(), 'artifact')
  await exportSnapshot(store, artifact, options)
  await store.close()
  return artifact
}

test(
  'every byte of a small artifact of ours that is flipped is noticed',
  { timeout: 3_600_000 },
  async () => {
    expect(await unnoticed(await small({}))).toEqual([])
  },
)

test('every byte of a signed one, also of an interchange artifact', { timeout: 3_600_000 }, async () => {
  const artifact = await small({ interchange: 1, signingKey: randomBytes(32) })
  expect((await readdir(artifact)).sort()).toEqual([MANIFEST_FILE, SIGNATURE_FILE, 'data'])
  expect(await unnoticed(artifact)).toEqual([])
})

test(
  'an import refuses every flipped byte of an interchange artifact, but for the time it was made at',
  { timeout: 3_600_000 },
  async () => {
    const root = await scratch()
    const artifact = join(root, 'artifact')
    await cp(join(INTEROP, 'small'), artifact, { recursive: true })
    const path = join(root, 'new', 'fold')
    const wanted = await imported(artifact, path)
    const missed = await unnoticed(
      artifact,
      async () => {
        try {
          // What takes it for another time has the same fold.
          expect(await imported(artifact, path)).toEqual(wanted)
        } catch (error) {
          expect(await readdir(join(root, 'new')).catch(() => [])).toEqual([])
          throw error
        }
      },
      1,
    )
    if (FULL) expect(missed.length).toBeGreaterThan(0)
    for (const around of missed) expect(around).toMatch(/"created_at_unix": \d+$/)
  },
)

/** What a new fold of an artifact holds; none is left at `path`. */
async function imported(artifact: string, path: string): Promise<readonly PlainEntry[]> {
  const location = appendLog({ path })
  await importSnapshot(artifact, location)
  const store = await location.open()
  const held = plain(store)
  await store.close()
  await rm(dirname(path), { recursive: true })
  return held
}

test('an artifact cut anywhere is refused', async () => {
  const artifact = await small({})
  for (const name of [MANIFEST_FILE, 'data/fold.slip']) {
    const path = join(artifact, name)
    const whole = await readFile(path)
    for (let length = 0; length < whole.length; length += FULL ? 1 : 19) {
      await writeFile(path, whole.subarray(0, length))
      const location = appendLog({ path: join(artifact, '..', 'fold') })
      await expect(importSnapshot(artifact, location)).rejects.toMatchObject({ code: 'ArtifactInvalid' })
      expect(await location.exists()).toBe(false)
    }
    await writeFile(path, whole)
  }
})

test('a whole payload of the same size, cursor and binding is another one by its digest alone', async () => {
  for (const options of [{}, { interchange: 1 }] as const) {
    const [artifact, other] = [await small(options), await small(options, 'six')]
    const [name] = await readdir(join(artifact, 'data'))
    await writeFile(join(artifact, 'data', name!), await readFile(join(other, 'data', name!)))
    await expect(verifyArtifact(artifact)).rejects.toThrow('digest')
    const location = appendLog({ path: join(artifact, '..', 'fold') })
    await expect(importSnapshot(artifact, location)).rejects.toThrow('digest')
    expect(await location.exists()).toBe(false)
  }
})

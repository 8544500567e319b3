import { createHash } from 'node:crypto'
import { cp, lstat, mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exportSnapshot, importSnapshot } from '@slip/export'
import { SnapshotError, type SnapshotLocation } from '@slip/kv-core'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { filled } from './folds.ts'
import { ALWAYS_REFUSED, FORGED_LOGS, PERHAPS_THE_SAME, type Bend, type Victim } from './hostile.ts'
import { plain, scratch, seededRandom } from './scratch.ts'

const COUNT = Number(process.env['SLIP_HOSTILE_ARTIFACTS'] ?? 90)

const places: readonly ((path: string) => SnapshotLocation)[] = [
  (path) => appendLog({ path }),
  (path) => lmdb({ path, durability: 'os' }),
]

/** Every name under a directory with what it is: nothing about it may change. */
async function pictureOf(directory: string): Promise<string> {
  const names = (await readdir(directory, { recursive: true })).sort()
  const parts = await Promise.all(
    names.map(async (name) => {
      const facts = await lstat(join(directory, name))
      const content = facts.isSymbolicLink()
        ? await readlink(join(directory, name))
        : facts.isFile()
          ? createHash('sha256')
              .update(await readFile(join(directory, name)))
              .digest('hex')
          : ''
      return `${name} ${facts.mode} ${content}`
    }),
  )
  return parts.join('\n')
}

test(
  `${COUNT} hostile artifacts: no file outside, no wrong fold, clear errors`,
  { timeout: 3_600_000 },
  async () => {
    const random = seededRandom('hostile artifacts')
    const root = await scratch()
    const outside = { file: join(root, 'outside/file'), directory: join(root, 'outside') }
    await mkdir(outside.directory)
    await writeFile(outside.file, 'not yours')
    const good: Victim[] = []
    let wanted: unknown
    for (const [i, locate] of places.entries())
      for (const interchange of [false, true]) {
        const store = await filled(locate(join(root, `source-${i}-${interchange}`)))
        wanted = plain(store)
        const directory = join(root, `good-${i}-${interchange}`)
        await exportSnapshot(store, directory, interchange ? { interchange: 1 } : {})
        await store.close()
        const manifest = JSON.parse(
          await readFile(join(directory, 'MANIFEST.json'), 'utf8'),
        ) as Victim['manifest']
        const [name] = await readdir(join(directory, 'data'))
        good.push({ directory, manifest, name: name! })
      }
    const forged = Object.entries(FORGED_LOGS).map(
      ([name, make]) =>
        [
          name,
          async (victim, pick, out) => {
            const bytes = await readFile(join(victim.directory, 'data', victim.name))
            const bent = Buffer.concat([
              bytes.subarray(0, 6),
              make(pick),
              ...(pick(2) === 0 ? [bytes.subarray(6)] : []),
            ])
            await PAYLOAD(bent)(victim, pick, out)
          },
        ] as readonly [string, Bend],
    )
    const bends: readonly (readonly [string, Bend, 'refused' | 'same'])[] = [
      ...Object.entries(ALWAYS_REFUSED).map(([name, bend]) => [name, bend, 'refused'] as const),
      ...Object.entries(PERHAPS_THE_SAME).map(([name, bend]) => [name, bend, 'same'] as const),
      // A cursor in front of a whole log is overtaken by its last one.
      ...forged.map(
        ([name, bend]) => [name, bend, name === 'a cursor that goes on' ? 'same' : 'refused'] as const,
      ),
    ]
    let accepted = 0
    for (let round = 0; round < COUNT; round++) {
      const [name, bend, becomes] = bends[round % bends.length]!
      const ofLog = round % bends.length >= bends.length - forged.length
      const source = good[ofLog ? 1 : random(good.length)]!
      const directory = join(root, 'artifact')
      await cp(source.directory, directory, { recursive: true })
      await bend({ ...source, directory }, random, outside)
      const before = await pictureOf(root)
      const at = join(root, 'new', 'fold')
      const location = places[random(places.length)]!(at)
      const error = await importSnapshot(directory, location, { scratchDirectory: join(root, 'new') }).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      const what = `round ${round}: ${name} of ${source.name}`
      if (error === undefined) {
        accepted++
        expect(becomes, what).toBe('same')
        const store = await location.open()
        expect(plain(store), what).toEqual(wanted)
        await store.close()
      } else {
        expect(SnapshotError.is(error) ? error.code : error, what).toBe('ArtifactInvalid')
        expect((error as Error).message.length, what).toBeLessThan(600)
        expect(await readdir(join(root, 'new')).catch(() => []), what).toEqual([])
      }
      await rm(join(root, 'new'), { recursive: true, force: true })
      expect(await pictureOf(root), what).toBe(before)
      await rm(directory, { recursive: true, force: true })
    }
    console.log(`${COUNT} hostile artifacts of ${bends.length} kinds, ${accepted} were the fold all the same`)
  },
)

const PAYLOAD =
  (bytes: Uint8Array): Bend =>
  async (victim) => {
    const { createBLAKE3 } = await import('hash-wasm')
    await writeFile(join(victim.directory, 'data', victim.name), bytes)
    const blake3 = (await createBLAKE3()).init().update(bytes).digest('hex')
    const files = [{ path: `data/${victim.name}`, size: bytes.length, blake3 }]
    await writeFile(
      join(victim.directory, 'MANIFEST.json'),
      JSON.stringify({ ...victim.manifest, files }, undefined, 2),
    )
  }

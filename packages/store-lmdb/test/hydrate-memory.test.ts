import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { keyOf, permutation, valueOf } from '../bench/workload.mjs'
import { scratch, seededRandom } from './scratch.ts'

const CHILD = fileURLToPath(new URL('hydrate-child.mjs', import.meta.url))
const ENTRIES = Number(process.env['SLIP_HYDRATED'] ?? 1_000_000)
const LOOKS = 2_000

/** Of a million entries this is less than all of them in memory beside what a fill takes (184 MB, quiet). */
const MOST_MB = ENTRIES > 1_000_000 ? 500 : 380

const run = promisify(execFile)

test.skipIf(process.platform !== 'linux')(
  `${ENTRIES} entries in random order take less than ${MOST_MB} MB that is not file cache, and are all there`,
  async () => {
    const path = join(await scratch(), 'fold')
    const { stdout } = await run(process.execPath, [CHILD, path, String(ENTRIES)])
    const { before, most, wall, cpu, bytesEach } = JSON.parse(stdout) as Figures
    console.log(
      `${ENTRIES} entries: ${wall.toFixed(1)} us each (${cpu.toFixed(1)} of CPU), anonymous memory ${before.toFixed(0)} MB before, ${most.toFixed(0)} MB at most, ${bytesEach.toFixed(0)} B an entry in the file`,
    )
    expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: ENTRIES })
    const store = await LmdbSnapshot.open({ path, durability: 'os' })
    const random = seededRandom('hydrated')
    const permuted = permutation(ENTRIES)
    for (let look = 0; look < LOOKS; look++) {
      const i = random(ENTRIES)
      const entry = store.get(keyOf(permuted(i)))
      expect(entry?.version.revision).toBe(BigInt(i + 1))
      expect(Buffer.from(entry!.value).equals(valueOf(permuted(i)))).toBe(true)
    }
    await store.close()
    expect(most).toBeLessThan(MOST_MB)
  },
  180_000 + ENTRIES / 2,
)

type Figures = Record<'before' | 'most' | 'wall' | 'cpu' | 'bytesEach', number>

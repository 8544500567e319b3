import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { directoryObjects, downloadArtifact, importSnapshot, publishArtifact } from '@slip/export'
import { appendLog } from '@slip/store-applog'
import { expect, test } from 'vitest'
import { whole } from './folds.ts'
import { ChangingFold, CountingStore, range } from './parts.ts'
import { scratch, seededRandom } from './scratch.ts'

test('one key in a hundred, wherever it is: a round sends and fetches less than a twentieth', async () => {
  const random = seededRandom('one in a hundred')
  const fold = await ChangingFold.open()
  const [keys, each] = [20_000, 200]
  await fold.change(range(1, keys + 1))
  const counting = new CountingStore(directoryObjects(await scratch()))
  const { store } = counting
  const first = await fold.export()
  await publishArtifact(first.directory, store, 'routes')
  expect(counting.taken().put).toBeGreaterThan(first.payloadBytes)
  let previous = first.directory
  for (const [what, changed] of [
    ['spread', range(0, each).map(() => 1 + random(keys))],
    ['side by side', range(7_000, 7_000 + each)],
    ['deleted', range(11_000, 11_000 + each).map((key) => -key)],
    ['new', range(keys + 1, keys + 1 + each)],
  ] as const) {
    await fold.change(changed)
    const { directory, payloadBytes } = await fold.export()
    const published = await publishArtifact(directory, store, 'routes')
    const round = counting.taken()
    expect(published.sentBytes, what).toBeLessThanOrEqual(round.put)
    const down = join(await scratch(), 'down')
    let received = 0
    const manifest = await downloadArtifact(store, 'routes', down, {
      previous,
      onProgress: ({ receivedBytes }) => (received = receivedBytes),
    })
    const fetched = counting.taken()
    const share = (bytes: number): string => `${((100 * bytes) / payloadBytes).toFixed(2)} %`
    console.log(`${what}: sent ${share(round.put)}, looked at ${share(round.got)}, fetched ${share(fetched.got)}`)
    expect(round.put, what).toBeLessThan(payloadBytes / 20)
    expect(fetched.got, what).toBeLessThan(payloadBytes / 20)
    expect(received, what).toBeLessThanOrEqual(fetched.got)
    expect(manifest?.cursor.revision, what).toBe(fold.store.cursor.revision)
    for (const file of ['MANIFEST.json', 'data/fold.records'])
      expect((await readFile(join(down, file))).equals(await readFile(join(directory, file)))).toBe(true)
    previous = down
  }
  // Who has nothing fetches the base and all layers.
  const newcomer = join(await scratch(), 'down')
  await downloadArtifact(store, 'routes', newcomer)
  expect(counting.taken().got).toBeLessThan(1.5 * (await fold.export()).payloadBytes)
  const into = appendLog({ path: join(await scratch(), 'in') })
  await importSnapshot(newcomer, into)
  const imported = await into.open()
  expect(whole(imported)).toEqual(whole(fold.store))
  await imported.close()
  await fold.store.close()
})

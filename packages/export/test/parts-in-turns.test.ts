import { join } from 'node:path'
import { encodeLineage } from '@slip/kv-core'
import { directoryObjects, downloadArtifact, exportSnapshot, publishArtifact } from '@slip/export'
import { appendLog } from '@slip/store-applog'
import { expect, test } from 'vitest'
import { BINDING } from './folds.ts'
import { at, put, scratch } from './scratch.ts'

test('nodes that publish one position in turns, each with what it remembers, can be downloaded from each time', async () => {
  const to = directoryObjects(await scratch())
  const artifacts: string[] = []
  for (const [i, key] of ['key.1', 'key.2'].entries()) {
    const parent = await scratch()
    const fold = await appendLog({ path: join(parent, 'fold') }).open()
    const updates = Array.from({ length: 400 }, (_, each) =>
      put(`key.${each}`, `${each}`.repeat(200), each + 1),
    )
    const lineage = encodeLineage({
      binding: BINDING,
      anchors: [{ revision: BigInt(i + 2), key, timeMs: 1_700_000_000_000n }],
    })
    await fold.apply(updates, at(400), { lineage })
    artifacts.push(join(parent, 'artifact'))
    await exportSnapshot(fold, artifacts[i]!, { layout: 'records' })
    await fold.close()
  }
  for (let round = 0; round < 8; round++) {
    await publishArtifact(artifacts[round % 2]!, to, 'routes')
    const manifest = await downloadArtifact(to, 'routes', join(await scratch(), 'got'))
    expect(manifest?.cursor.revision, `round ${round}`).toBe(400n)
  }
})

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadSnapshot } from '../src/load-snapshot.ts'
import { SnapshotWriter } from '../src/snapshot-writer.ts'
import { at, del, put, scratch } from './scratch.ts'

test('what was written without a checkpoint does not survive; a checkpoint is all of it', async () => {
  const path = join(await scratch(), 'log')
  expect(await loadSnapshot(path)).toBeUndefined()
  let writer = await SnapshotWriter.open({ path })
  writer.write(put('a', 'v', 1))
  writer.write(put('b', 'v', 2))
  expect(await writer.checkpoint(at(2))).toBe(false)
  writer.write(put('lost', 'v', 3))
  await writer.flush()
  await writer.close()
  const loaded = await loadSnapshot(path)
  expect([...loaded!.entries.keys()]).toEqual(['a', 'b'])
  expect(loaded!.cursor.revision).toBe(2n)
  writer = await SnapshotWriter.open({ path })
  expect(writer.cursor.revision).toBe(2n)
  await expect(SnapshotWriter.open({ path })).rejects.toMatchObject({ code: 'Busy' })
  await writer.close()
})

test('in generation 2 a flush keeps what was written since, under the last cursor', async () => {
  const path = join(await scratch(), 'log')
  const writer = await SnapshotWriter.open({ path, format: 2 })
  writer.write(put('a', 'v', 1))
  await writer.checkpoint(at(1))
  writer.write(put('b', 'v', 2))
  await writer.flush()
  await writer.close()
  const loaded = await loadSnapshot(path)
  expect([[...loaded!.entries.keys()], loaded!.cursor.revision]).toEqual([['a', 'b'], 1n])
})

test.each([2, 3] as const)(
  'generation %i: compaction is said to be due, and keeps the state',
  async (format) => {
    const path = join(await scratch(), 'log')
    const writer = await SnapshotWriter.open({ path, format, compactThresholdBytes: 20_000 })
    let due = 0
    for (let i = 1; i <= 300; i++) {
      writer.write(put(`k${i % 10}`, 'x'.repeat(200), i))
      if (i % 10 === 3) writer.write(del('k3', i))
      if (!(await writer.checkpoint(at(i)))) continue
      due++
      await writer.compact()
      expect((await stat(path)).size).toBeLessThan(5_000)
    }
    await writer.close()
    expect(due).toBeGreaterThan(2)
    const loaded = await loadSnapshot(path)
    expect([...loaded!.entries.keys()]).toEqual(['k0', 'k1', 'k2', 'k4', 'k5', 'k6', 'k7', 'k8', 'k9'])
    expect(loaded!.cursor.revision).toBe(300n)
  },
)

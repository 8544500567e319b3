import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { encodeLineage, VersionToken, WatchCursor, type Binding } from '@slip/kv-core'
import { AppendLogSnapshot } from '@slip/store-applog'
import { expect, test } from 'vitest'
import { slip, slipBatch, temporaryDirectory } from './slip.ts'

const BINDING: Binding = {
  kind: 'nats',
  name: 'routes',
  incarnation: 'first',
  scope: [''],
  whenEvicted: 'drop',
  evictionSeen: false,
}

/** A fold with one entry a revision. */
async function logAt(revision: number, binding?: Partial<Binding>): Promise<string> {
  const path = join(temporaryDirectory(), 'fold.slip')
  const store = await AppendLogSnapshot.open({ path })
  const updates = Array.from({ length: revision }, (_, i) => ({
    operation: 'put' as const,
    key: `k${i}`,
    value: Buffer.from(`${i}`),
    version: VersionToken.fromRevision(BigInt(i + 1)),
  }))
  const lineage = encodeLineage({ binding: { ...BINDING, ...binding }, anchors: [] })
  await store.apply(
    updates,
    WatchCursor.fromRevision(BigInt(revision)),
    binding === undefined ? {} : { lineage },
  )
  await store.close()
  return path
}

test('a fold is published, and another node starts from the newest one', async () => {
  const there = temporaryDirectory()
  const url = `file:${join(there, 'objects')}`
  const [older, newer] = [await logAt(3, {}), await logAt(5, {})]
  const copy = join(there, 'copy')
  const results = await slipBatch(
    [
      ['publish', `log:${older}`, url],
      ['publish', `log:${newer}`, url],
      ['publish', `log:${older}`, url],
      ['bootstrap', url, `log:${copy}`],
      ['bootstrap', url, `lmdb:${copy}.lmdb`, '--name', 'routes'],
      ['dump', `log:${copy}`],
      ['dump', `lmdb:${copy}.lmdb`],
      ['dump', `log:${newer}`],
    ].map((args) => [...args, '--json']),
  )
  expect(results.map(({ code, stderr }) => [code, stderr])).toEqual(results.map(() => [0, '']))
  const [first, second, third, started, startedToo, ...dumps] = results.map(({ lines }) => lines)
  expect(first).toEqual([
    {
      outcome: 'published',
      pointer: 'routes.manifest.json',
      payload: expect.stringMatching(/^routes\.payloads\/0000000000000003-[0-9a-f]{16}\.tar$/),
      bytes: expect.any(Number),
      sent: expect.any(Number),
    },
  ])
  expect([second, third].map((lines) => lines!.map((line) => (line as { outcome: string }).outcome))).toEqual(
    [['published'], ['superseded']],
  )
  const made = { entries: 5, cursor: '0000000000000005', revision: 5, bytes: expect.any(Number) }
  expect(started).toEqual([{ ...made, received: expect.any(Number) }])
  expect(startedToo).toEqual(started)
  expect(dumps[0]).toEqual(dumps[2])
  expect(dumps[1]).toEqual(dumps[2])
})

test('where nothing is published the answer is no, and where several are it is asked which', async () => {
  const there = temporaryDirectory()
  const fold = `log:${join(there, 'fold')}`
  const url = `file:${join(there, 'objects')}`
  const log = await logAt(3, {})
  const results = await slipBatch([
    ['bootstrap', url, fold],
    ['publish', `log:${log}`, url],
    ['bootstrap', url, fold, '--name', 'other'],
    ['publish', `log:${log}`, url, '--name', 'edge/routes'],
    ['bootstrap', url, fold],
    ['bootstrap', url, fold, '--name', 'edge/routes'],
    ['bootstrap', url, fold, '--name', 'edge/routes'],
  ])
  expect(results.map(({ code }) => code)).toEqual([1, 0, 1, 0, 2, 0, 2])
  expect(results[4]!.stderr).toMatch(/edge\/routes, routes/)
})

test('a name holds one bucket and one family, and a fold without a binding needs one', async () => {
  const url = `file:${join(temporaryDirectory(), 'objects')}`
  const results = await slipBatch([
    ['publish', `log:${await logAt(3)}`, url],
    ['publish', `log:${await logAt(3)}`, url, '--name', 'a b', '--interchange'],
    ['publish', `log:${await logAt(4, {})}`, url, '--name', 'a b'],
    ['publish', `log:${await logAt(3, {})}`, url, '--name', 'one'],
    ['publish', `log:${await logAt(4, { name: 'another' })}`, url, '--name', 'one'],
    ['publish', `log:${await logAt(3, {})}`, url, '--name', '../out'],
    ['publish', `log:${await logAt(3, {})}`, 's3:objects'],
    ['publish', `log:${await logAt(3, {})}`, 'objects'],
  ])
  expect(results.map(({ code }) => code)).toEqual([2, 0, 2, 0, 2, 2, 2, 2])
  expect(results[0]!.stderr).toMatch(/--name/)
})

test('what is published and damaged becomes no fold', async () => {
  const there = temporaryDirectory()
  const objects = join(there, 'objects')
  await mkdir(objects)
  await writeFile(join(objects, 'routes.manifest.json'), '{"schema_version":101}')
  const { code } = await slip(['bootstrap', `file:${objects}`, `log:${join(there, 'fold')}`])
  expect(code).toBe(4)
})

test('a node that keeps its artifact fetches only what changed of the next one', async () => {
  const there = temporaryDirectory()
  const url = `file:${join(there, 'objects')}`
  const keep = join(there, 'kept')
  const logs = [await logAt(5_000, {}), await logAt(5_020, {})]
  const folds = ['first', 'second', 'anew'].map((name) => `log:${join(there, name)}`)
  const results = await slipBatch(
    [
      ['publish', `log:${logs[0]}`, url],
      ['bootstrap', url, folds[0]!, '--keep-artifact', keep],
      ['publish', `log:${logs[1]}`, url],
      ['bootstrap', url, folds[1]!, '--keep-artifact', keep],
      ['bootstrap', url, folds[2]!],
      ...['k4', 'k5019'].map((key) => ['get', folds[1]!, key]),
      ['verify', join(keep, 'previous')],
    ].map((args) => [...args, '--json']),
  )
  expect(results.map(({ code, stderr }) => [code, stderr])).toEqual(results.map(() => [0, '']))
  const [, first, , second, anew, old, young, verified] = results.map(({ lines }) => lines)
  const received = [first, second, anew].map((lines) => (lines![0] as { received: number }).received)
  expect(received[0]).toBeGreaterThan(140_000)
  expect(received[1]).toBeLessThan(received[0]! / 20)
  expect(received[2]).toBeGreaterThan(140_000)
  expect([old, young]).toMatchObject([[{ revision: 5 }], [{ revision: 5_020 }]])
  expect(verified).toMatchObject([{ verdict: 'intact', entries: 5_020 }])
  expect(await readdir(keep)).toEqual(['previous'])
})

test('what lies where an artifact would be kept, and is none, is left alone', async () => {
  const there = temporaryDirectory()
  const url = `file:${join(there, 'objects')}`
  const own = join(there, 'kept/previous/letter')
  await mkdir(dirname(own), { recursive: true })
  await writeFile(own, 'mine')
  await writeFile(join(there, 'file'), 'mine')
  const results = await slipBatch([
    ['publish', `log:${await logAt(3, {})}`, url],
    ['bootstrap', url, `log:${join(there, 'fold')}`, '--keep-artifact', join(there, 'kept')],
    ['bootstrap', url, `log:${join(there, 'fold')}`, '--keep-artifact', join(there, 'file')],
  ])
  expect(results.map(({ code }) => code)).toEqual([0, 2, 2])
  expect(results[1]!.stderr).toContain('is no artifact: give --keep-artifact a directory of its own')
  expect(await readFile(own, 'utf8')).toBe('mine')
})

import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SnapshotError, type SnapshotLocation } from '@slip/kv-core'
import { nodeFileSystem, WriterLock } from '@slip/kv-core/store-parts'
import { exportSnapshot, importSnapshot, MANIFEST_FILE, readManifest, verifyArtifact } from '@slip/export'
import { AppendLogReader, appendLog } from '@slip/store-applog'
import { lmdb, LmdbReader } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { BINDING, filled, LINEAGE, PLACES, UPDATES, whole } from './folds.ts'
import { at, plain, put, scratch } from './scratch.ts'

for (const [from, source] of PLACES)
  for (const [to, target] of PLACES)
    test(`a fold in ${from}, exported and imported into ${to}, is the same fold`, async () => {
      const directory = await scratch()
      const store = await filled(source(join(directory, 'source')))
      const artifact = join(directory, 'artifact')
      const made = await exportSnapshot(store, artifact)
      expect(made).toMatchObject({ schemaVersion: 101, cursor: at(9), entries: 7 })
      const bound = store.features.lineage ? BINDING : undefined
      expect(made.binding).toEqual(bound)
      expect(await readManifest(artifact)).toEqual(made)
      const location = target(join(directory, 'target'))
      expect(await importSnapshot(artifact, location)).toEqual(made)
      const [before, imported] = [whole(store), await location.open()]
      const after = whole(imported)
      // Generation 2 has no place for more than entries and cursor, and a log that came as one stays one.
      const narrow = from.endsWith('2') || to.endsWith('2')
      expect(narrow ? plain(imported) : after).toEqual(narrow ? plain(store) : before)
      expect(imported.cursor).toEqual(at(9))
      await imported.apply([put('route.more', 'x', 10)], at(10))
      await imported.close()
      await store.close()
    })

test('an artifact is a directory of mode 0700 with files of mode 0600, and nothing is left beside it', async () => {
  const directory = await scratch()
  const store = await filled(appendLog({ path: join(directory, 'source') }))
  const artifact = join(directory, 'new/artifact')
  await exportSnapshot(store, artifact)
  await store.close()
  expect((await readdir(artifact, { recursive: true })).sort()).toEqual([
    MANIFEST_FILE,
    'data',
    'data/fold.slip',
  ])
  for (const [path, mode] of [
    ['', 0o40700],
    ['data', 0o40700],
    [MANIFEST_FILE, 0o100600],
    ['data/fold.slip', 0o100600],
  ] as const)
    expect((await stat(join(artifact, path))).mode).toBe(mode)
  expect(await readdir(join(directory, 'new'))).toEqual(['artifact'])
})

test('a reader beside the writer is exported at the commit it shows', async () => {
  const directory = await scratch()
  const folds: readonly (readonly [SnapshotLocation, () => Promise<AppendLogReader | LmdbReader>])[] = [
    [
      appendLog({ path: join(directory, 'log') }),
      async () => AppendLogReader.open({ path: join(directory, 'log') }),
    ],
    [lmdb({ path: join(directory, 'lmdb') }), async () => LmdbReader.open({ path: join(directory, 'lmdb') })],
  ]
  for (const [location, open] of folds) {
    const store = await filled(location)
    const reader = await open()
    const artifact = join(directory, `${location.backend}.artifact`)
    expect(await exportSnapshot(reader, artifact)).toMatchObject({ cursor: at(9), binding: BINDING })
    await reader.close()
    const copy = appendLog({ path: join(directory, `${location.backend}.copy`) })
    await importSnapshot(artifact, copy)
    const imported = await copy.open()
    expect(whole(imported)).toEqual(whole(store))
    await imported.close()
    await store.close()
  }
})

test('schema 2 states the scope of the fold, and needs one', async () => {
  const directory = await scratch()
  const store = await filled(appendLog({ path: join(directory, 'source') }))
  expect(await exportSnapshot(store, join(directory, 'two'), { interchange: 2 })).toMatchObject({
    schemaVersion: 2,
    scope: ['edge.', 'route.'],
  })
  await store.close()
  const unbound = await appendLog({ path: join(directory, 'unbound') }).open()
  await expect(exportSnapshot(unbound, join(directory, 'three'), { interchange: 2 })).rejects.toThrow(
    TypeError,
  )
  expect(await readdir(directory)).not.toContain('three')
  await unbound.close()
})

test('what was seen of eviction goes with the cursor of an interchange artifact', async () => {
  const directory = await scratch()
  const store = await appendLog({ path: join(directory, 'source') }).open()
  const { encodeLineage } = await import('@slip/kv-core')
  const binding = { ...BINDING, whenEvicted: 'keep', evictionSeen: true } as const
  await store.apply(UPDATES, at(9), { lineage: encodeLineage({ binding, anchors: [] }) })
  const { cursor } = await exportSnapshot(store, join(directory, 'artifact'), { interchange: 1 })
  expect(cursor.toHex()).toBe('000000000000000900000801')
  const native = await exportSnapshot(store, join(directory, 'native'))
  expect(native.binding).toEqual(binding)
  await store.close()
})

test('a value that generation 2 cannot hold is refused and leaves nothing', async () => {
  const directory = await scratch()
  const store = await appendLog({ path: join(directory, 'source') }).open()
  await store.apply([put('large', new Uint8Array(64 * 1024 * 1024 + 1), 1)], at(1))
  await expect(exportSnapshot(store, join(directory, 'out'), { interchange: 1 })).rejects.toMatchObject({
    code: 'LimitExceeded',
  })
  await store.close()
  expect(await readdir(directory)).toEqual(['source'])
})

test('a directory with something in it, or a file, is left alone; an empty one is taken', async () => {
  const directory = await scratch()
  const store = await filled(appendLog({ path: join(directory, 'source') }))
  const [full, file, empty] = ['full', 'file', 'empty'].map((name) => join(directory, name))
  await mkdir(full!)
  await writeFile(join(full!, 'mine'), 'x')
  await writeFile(file!, 'x')
  await mkdir(empty!)
  for (const taken of [full!, file!])
    await expect(exportSnapshot(store, taken)).rejects.toMatchObject({ code: 'AlreadyExists' })
  expect(await readFile(join(full!, 'mine'), 'utf8')).toBe('x')
  await exportSnapshot(store, empty!)
  await verifyArtifact(empty!)
  await store.close()
  expect((await readdir(directory)).sort()).toEqual(['empty', 'file', 'full', 'source'])
})

test('a destination that is there is not imported over', async () => {
  const directory = await scratch()
  const store = await filled(appendLog({ path: join(directory, 'source') }))
  await exportSnapshot(store, join(directory, 'artifact'))
  await store.close()
  for (const [, locate] of PLACES) {
    const location = locate(join(await scratch(), 'fold'))
    const mine = await location.open()
    await mine.apply([put('mine', 'x', 1)], at(1))
    await mine.close()
    await expect(importSnapshot(join(directory, 'artifact'), location)).rejects.toMatchObject({
      code: 'AlreadyExists',
    })
    const again = await location.open()
    expect(plain(again)).toHaveLength(1)
    await again.close()
  }
})

test('an abort leaves nothing, whenever it comes', async () => {
  const directory = await scratch()
  const store = await filled(appendLog({ path: join(directory, 'source') }))
  const artifact = join(directory, 'artifact')
  await exportSnapshot(store, artifact)
  for (const delay of [0, 1, 2, 4, 8, 16]) {
    const reason = new Error('enough')
    const controller = new AbortController()
    const { signal } = controller
    setTimeout(() => controller.abort(reason), delay)
    const [exported, ...imported] = await Promise.all([
      exportSnapshot(store, join(directory, `out-${delay}`), { signal }).catch((error: unknown) => error),
      ...PLACES.map(async ([, locate], i) =>
        importSnapshot(artifact, locate(join(directory, `in-${delay}-${i}`)), {
          signal,
          scratchDirectory: directory,
        }).catch((error: unknown) => error),
      ),
    ])
    if (exported === reason) expect(await readdir(directory)).not.toContain(`out-${delay}`)
    else await verifyArtifact(join(directory, `out-${delay}`))
    for (const [i, result] of imported.entries()) {
      const location = PLACES[i]![1](join(directory, `in-${delay}-${i}`))
      expect(await location.exists()).toBe(result !== reason)
    }
  }
  await store.close()
  for (const name of await readdir(directory)) expect(name).toMatch(/^(artifact|source|(out|in)-[\d-]+)$/)
})

test('progress ends at the size of the payload, both ways', async () => {
  const directory = await scratch()
  const store = await filled(appendLog({ path: join(directory, 'source') }))
  const artifact = join(directory, 'artifact')
  const told: { readonly bytes: number; readonly totalBytes: number }[] = []
  const { files } = await exportSnapshot(store, artifact, { onProgress: (done) => told.push(done) })
  expect(told.at(-1)).toEqual({ bytes: files[0]!.size, totalBytes: files[0]!.size })
  for (const [i, [, locate]] of PLACES.entries()) {
    told.length = 0
    await importSnapshot(artifact, locate(join(directory, `in-${i}`)), {
      onProgress: (done) => told.push(done),
    })
    expect(told.at(-1)).toEqual({ bytes: files[0]!.size, totalBytes: files[0]!.size })
  }
  await store.close()
})

test('a store without copies can only be exported for the Rust system', async () => {
  const directory = await scratch()
  const store = await filled(appendLog({ path: join(directory, 'source') }))
  const plainFold = {
    cursor: store.cursor,
    lineage: LINEAGE,
    entries: (prefix?: string) => store.entries(prefix),
  }
  const error = await exportSnapshot(plainFold, join(directory, 'a')).catch((thrown: unknown) => thrown)
  expect(SnapshotError.is(error) && error.code).toBe('Backend')
  expect(await exportSnapshot(plainFold, join(directory, 'b'), { interchange: 1 })).toMatchObject({
    cursor: at(9),
  })
  await store.close()
})

test('an export to where one died waits for who removes what that left', async () => {
  const directory = await scratch()
  const store = await filled(appendLog({ path: join(directory, 'source') }))
  const artifact = join(directory, 'artifact')
  const stage = `${artifact}.slip-staging`
  await mkdir(stage)
  const tidying = await WriterLock.take(nodeFileSystem, stage)
  const exporting = exportSnapshot(store, artifact)
  await delay(100)
  await tidying.release()
  expect(await exporting).toMatchObject({ entries: 7 })
  expect((await readdir(directory)).sort()).toEqual(['artifact', 'source', 'source.lock'])
  await store.close()
})

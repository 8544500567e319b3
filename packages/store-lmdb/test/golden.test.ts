import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LmdbReader, LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { at, put, scratch } from './scratch.ts'

const GOLDEN = fileURLToPath(new URL('golden', import.meta.url))

/** A fold as it was written when layout 2 was frozen, and what is in it. Files of users look like this one. */
test('the file of layout 2 opens to the state that was listed when it was written, and can be written to', async () => {
  const path = join(await scratch(), 'fold')
  await cp(join(GOLDEN, 'fold'), path, { recursive: true })
  const bytes = await readFile(join(path, 'fold-00000001.mdb'))
  expect(await verifyLmdb(path)).toMatchObject({
    verdict: 'intact',
    generation: 2,
    entries: 126,
    deletedKeys: 3,
  })
  expect((await readFile(join(path, 'fold-00000001.mdb'))).equals(bytes), 'verifying changes nothing').toBe(
    true,
  )

  const reader = await LmdbReader.open({ path, verifyReads: true })
  const read = stateOf(reader, reader.lineage)
  await reader.close()
  const listed = JSON.parse(await readFile(join(GOLDEN, 'state.json'), 'utf8')) as unknown
  expect(read).toEqual(listed)

  const store = await LmdbSnapshot.open({ path, check: 'records', verifyReads: true })
  expect(stateOf(store, store.lineage)).toEqual(listed)
  expect(store.get('route.eu.expires')?.expiresAtMs).toBe(1_700_000_000_123)
  expect(store.get('larger')?.value.length).toBe(5_000)
  await store.apply([put('after', 'v', 200)], at(200))
  await store.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: 127, cursor: at(200) })
})

function stateOf(fold: LmdbReader | LmdbSnapshot, lineage: Uint8Array | undefined): unknown {
  return {
    cursor: fold.cursor.toHex(),
    lineage: lineage === undefined ? null : Buffer.from(lineage).toString(),
    entries: [...fold.entries()].map(({ key, value, version, expiresAtMs }) => [
      key,
      Buffer.from(value).toString(),
      version.toHex(),
      expiresAtMs ?? null,
    ]),
    deleted: [...fold.deletedKeys()].map(({ key, version }) => [key, version.toHex()]),
  }
}

import { generateKeyPairSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeLineage, VersionToken, WatchCursor, type KvUpdate } from '@slip/kv-core'
import { AppendLogSnapshot } from '@slip/store-applog'
import { expect, test } from 'vitest'
import { ERROR_LINE, slip, slipBatch, temporaryDirectory } from './slip.ts'

const BINDING = {
  kind: 'nats',
  name: 'routes',
  incarnation: 'first',
  scope: ['r.', 's'],
  whenEvicted: 'drop',
  evictionSeen: false,
} as const

function put(key: string, value: string, revision: bigint): KvUpdate {
  return { operation: 'put', key, value: Buffer.from(value), version: VersionToken.fromRevision(revision) }
}

/** Three entries and a deleted key at revision 6. */
async function smallLog(lineage = true): Promise<string> {
  const path = join(temporaryDirectory(), 'fold.slip')
  const store = await AppendLogSnapshot.open({ path })
  const gone = { operation: 'delete', key: 'gone', version: VersionToken.fromRevision(6n) } as const
  await store.apply(
    [put('r.b', 'two', 2n), put('r.a', 'one', 1n), put('s', 'three', 4n), gone],
    WatchCursor.fromRevision(6n),
    lineage ? { lineage: encodeLineage({ binding: BINDING, anchors: [] }) } : {},
  )
  await store.close()
  return path
}

const CURSOR = '0000000000000006'

test('a fold is exported, checked, imported into either kind, and is the same', async () => {
  const log = await smallLog()
  const there = temporaryDirectory()
  const [artifact, copy, lmdb, back] = ['artifact', 'copy.slip', 'lmdb', 'back'].map((name) =>
    join(there, name),
  )
  const results = await slipBatch(
    [
      ['export', `log:${log}`, artifact!],
      ['verify', artifact!, log],
      ['inspect', artifact!],
      ['import', artifact!, `log:${copy!}`],
      ['import', artifact!, `lmdb:${lmdb!}`],
      ['export', `lmdb:${lmdb!}`, back!],
      ['inspect', back!],
      ['dump', `log:${copy!}`],
      ['dump', `lmdb:${lmdb!}`],
      ['dump', `log:${log}`],
      ['inspect', `lmdb:${lmdb!}`],
    ].map((args) => [...args, '--json']),
  )
  expect(results.map(({ code, stderr }) => [code, stderr])).toEqual(results.map(() => [0, '']))
  const [exported, verified, inspected, imported, importedToo, , inspectedToo, ...dumps] = results.map(
    ({ lines }) => lines,
  )
  const bytes = (await readFile(join(artifact!, 'data/fold.slip'))).length
  expect(exported).toEqual([
    {
      ...(JSON.parse(await readFile(join(artifact!, 'MANIFEST.json'), 'utf8')) as object),
      dir: artifact,
      bytes,
      seconds: expect.any(Number),
    },
  ])
  expect(exported![0]).toMatchObject({
    schema_version: 101,
    backend: 'append-log',
    cursor_hex: CURSOR,
    entries: 3,
  })
  expect(verified).toEqual([
    {
      path: artifact,
      verdict: 'intact',
      at: bytes,
      bytes,
      generation: 3,
      entries: 3,
      cursor: CURSOR,
      revision: 6,
    },
    expect.objectContaining({ path: log, verdict: 'intact', entries: 3 }),
  ])
  expect(inspected).toEqual([
    expect.objectContaining({
      kind: 'artifact',
      backend: 'append-log',
      generation: 3,
      cursor: CURSOR,
      revision: 6,
      entries: 3,
      bytes,
      binding: BINDING,
      recovery: null,
      holder: null,
    }),
  ])
  const facts = { entries: 3, cursor: CURSOR, revision: 6, bytes }
  expect([imported, importedToo]).toEqual([[facts], [facts]])
  expect(inspectedToo).toEqual([expect.objectContaining({ backend: 'lmdb', generation: 2, entries: 3 })])
  expect(dumps[0]).toEqual(dumps[2])
  expect(dumps[1]).toEqual(dumps[2])
  expect(dumps[3]).toEqual([expect.objectContaining({ kind: 'fold', binding: BINDING })])
})

test('interchange is schema 1, or 2 where the scope is known', async () => {
  const [bound, unbound] = [await smallLog(), await smallLog(false)]
  const out = temporaryDirectory()
  const results = await slipBatch([
    ['export', `log:${bound}`, join(out, 'one'), '--interchange', '--json'],
    ['export', '--interchange', `log:${unbound}`, join(out, 'bare'), '--json'],
    ['export', `log:${bound}`, join(out, 'two'), '--interchange=2', '--json'],
    ['export', `log:${unbound}`, join(out, 'three'), '--interchange=2', '--json'],
    ['export', `log:${unbound}`, join(out, 'four'), '--interchange=3', '--json'],
    ['inspect', join(out, 'two'), '--json'],
    ['import', join(out, 'one'), `lmdb:${join(out, 'fold')}`, '--json'],
  ])
  expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 2, 2, 0, 0])
  expect(results[0]!.lines[0]).toMatchObject({ schema_version: 1, backend_version: '2' })
  expect(results[1]!.lines[0]).toMatchObject({ schema_version: 1 })
  expect(results[2]!.lines[0]).toMatchObject({ schema_version: 2, scope: ['r.', 's'] })
  expect(results[3]!.stderr).toMatch(ERROR_LINE)
  expect(existsSync(join(out, 'three'))).toBe(false)
  expect(results[5]!.lines[0]).toMatchObject({
    kind: 'artifact',
    schemaVersion: 2,
    entries: 3,
    scope: ['r.', 's'],
  })
  expect(results[6]!.lines[0]).toMatchObject({ entries: 3, cursor: CURSOR })
  expect(await readFile(join(out, 'one/data/fold.snap'))).toEqual(
    await readFile(join(out, 'two/data/fold.snap')),
  )
})

test('a refused artifact is exit 4 and nothing appears; verify says corrupt, or foreign without a manifest', async () => {
  const directory = temporaryDirectory()
  const good = join(directory, 'good')
  await slip(['export', `log:${await smallLog()}`, good])
  const bent = join(directory, 'bent')
  await slip(['export', `log:${await smallLog()}`, bent])
  const payload = join(bent, 'data/fold.slip')
  const bytes = await readFile(payload)
  bytes[bytes.length - 3]! ^= 1
  await writeFile(payload, bytes)
  const headless = join(directory, 'headless')
  await slip(['export', `log:${await smallLog()}`, headless])
  await rm(join(headless, 'MANIFEST.json'))
  const fold = join(directory, 'fold')
  const [log, lmdb, verify, none, missing, old, other] = await slipBatch(
    [
      ['import', bent, `log:${fold}`],
      ['import', bent, `lmdb:${fold}`],
      ['verify', good, bent, headless],
      ['import', headless, `log:${fold}`],
      ['import', join(directory, 'nowhere'), `log:${fold}`],
      ['import', good, `log:${fold}`, '--max-bytes', '1'],
      ['import', good, `log:${fold}`, '--bucket', 'another'],
    ].map((args) => [...args, '--json']),
  )
  expect([log, lmdb, verify, none, missing, old, other].map((result) => result!.code)).toEqual([
    4, 4, 4, 4, 2, 4, 4,
  ])
  expect(log!.lines).toEqual([{ error: expect.objectContaining({ code: 'ArtifactInvalid' }) }])
  expect(verify!.lines.map(({ verdict }) => verdict)).toEqual(['intact', 'corrupt', 'foreign'])
  expect(verify!.stderr).toContain('digest')
  expect(existsSync(fold)).toBe(false)
})

test('a destination that exists or is held is exit 2, and stays', async () => {
  const directory = temporaryDirectory()
  const [artifact, full] = [join(directory, 'artifact'), join(directory, 'full')]
  const log = await smallLog()
  await slip(['export', `log:${log}`, artifact])
  await mkdir(full)
  await writeFile(join(full, 'mine'), '')
  const held = join(directory, 'held.slip')
  const store = await AppendLogSnapshot.open({ path: held })
  const results = await slipBatch([
    ['import', artifact, `log:${log}`],
    ['import', artifact, `log:${held}`],
    ['import', artifact, `lmdb:${full}`],
    ['export', `log:${log}`, full],
    ['export', `log:${log}`, artifact],
  ])
  await store.close()
  expect(results.map(({ code }) => code)).toEqual([2, 2, 2, 2, 2])
  for (const { stderr } of results) expect(stderr).toMatch(ERROR_LINE)
})

test('a fold that a follower holds is exported beside it', async () => {
  const path = join(temporaryDirectory(), 'held.slip')
  const store = await AppendLogSnapshot.open({ path })
  await store.apply([put('a', 'one', 1n)], WatchCursor.fromRevision(1n))
  const { code, lines } = await slip(['export', `log:${path}`, `${path}.artifact`, '--json'])
  expect([code, lines[0]]).toEqual([0, expect.objectContaining({ entries: 1 })])
  await store.close()
})

test('a trusted key has to have signed', async () => {
  const directory = temporaryDirectory()
  const pem = (name: string): { readonly priv: string; readonly pub: string } => ({
    priv: join(directory, `${name}.key`),
    pub: join(directory, `${name}.pub`),
  })
  for (const name of ['ours', 'theirs']) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    await writeFile(pem(name).priv, privateKey.export({ format: 'pem', type: 'pkcs8' }))
    await writeFile(pem(name).pub, publicKey.export({ format: 'pem', type: 'spki' }))
  }
  const log = await smallLog()
  const [signed, bare] = [join(directory, 'signed'), join(directory, 'bare')]
  const to = (name: string): string => `log:${join(directory, name)}`
  const results = await slipBatch([
    ['export', `log:${log}`, signed, '--signing-key', pem('ours').priv],
    ['export', `log:${log}`, bare],
    ['import', signed, to('a'), '--trusted-key', pem('theirs').pub, '--trusted-key', pem('ours').pub],
    ['import', signed, to('b'), '--trusted-key', pem('theirs').pub],
    ['import', bare, to('c'), '--trusted-key', pem('ours').pub],
    ['import', signed, to('d')],
    ['export', `log:${log}`, join(directory, 'e'), '--signing-key', pem('ours').pub],
    ['import', signed, to('f'), '--trusted-key', join(directory, 'none')],
  ])
  expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 4, 4, 0, 2, 2])
})

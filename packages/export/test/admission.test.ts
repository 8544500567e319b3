import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  exportSnapshot,
  importSnapshot,
  MANIFEST_FILE,
  SIGNATURE_FILE,
  verifyArtifact,
  type ImportOptions,
} from '@slip/export'
import { WatchCursor } from '@slip/kv-core'
import { appendLog } from '@slip/store-applog'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { BINDING, filled } from './folds.ts'
import { at, scratch } from './scratch.ts'

const seed = randomBytes(32)
let directory: string
/** One signed with `seed`, and its public key, raw. */
let signed: string
let key: Uint8Array
let bare: string
let interchange: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'slip-admission-'))
  const store = await filled(appendLog({ path: join(directory, 'source') }))
  ;[signed, bare, interchange] = ['signed', 'bare', 'interchange'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  await exportSnapshot(store, signed, { signingKey: seed })
  await exportSnapshot(store, bare)
  await exportSnapshot(store, interchange, { interchange: 2 })
  await store.close()
  const [, hex] = (await readFile(join(signed, SIGNATURE_FILE), 'utf8')).split(' ')
  key = Buffer.from(hex!, 'hex')
})

afterAll(async () => rm(directory, { recursive: true, force: true }))

/** Why an import is refused; undefined when it is not. */
async function refusal(artifact: string, options: ImportOptions): Promise<string | undefined> {
  const location = appendLog({ path: join(await scratch(), 'fold') })
  const error = await importSnapshot(artifact, location, options).then(
    () => undefined,
    (thrown: unknown) => thrown as { readonly code?: string; readonly message: string },
  )
  expect(await location.exists()).toBe(error === undefined)
  if (error !== undefined) expect(error.code).toBe('ArtifactInvalid')
  return error?.message
}

test('with trusted keys one of them has to have signed', async () => {
  const other = randomBytes(32)
  expect(await refusal(signed, { trustedKeys: [other, key] })).toBeUndefined()
  expect(await refusal(signed, { trustedKeys: [other] })).toContain('trusted')
  expect(await refusal(bare, { trustedKeys: [key] })).toContain('not signed')
  expect(await refusal(bare, { trustedKeys: [key], requireSignature: false })).toBeUndefined()
  expect(await refusal(signed, { trustedKeys: [other], requireSignature: false })).toBeUndefined()
  expect(await refusal(signed, {})).toBeUndefined()
  expect(await refusal(interchange, { trustedKeys: [key] })).toContain('not signed')
})

test('keys of other shapes are taken, and what is none is a wrong argument', async () => {
  const store = await filled(appendLog({ path: join(await scratch(), 'source') }))
  const pair = generateKeyPairSync('ed25519')
  const artifact = join(await scratch(), 'artifact')
  await exportSnapshot(store, artifact, {
    signingKey: pair.privateKey.export({ format: 'der', type: 'pkcs8' }),
  })
  const spki = pair.publicKey.export({ format: 'der', type: 'spki' })
  expect(await refusal(artifact, { trustedKeys: [spki] })).toBeUndefined()
  expect(await refusal(artifact, { trustedKeys: [spki.subarray(-32)] })).toBeUndefined()
  const wrong = join(await scratch(), 'wrong')
  await expect(exportSnapshot(store, wrong, { signingKey: randomBytes(31) })).rejects.toThrow(TypeError)
  await store.close()
  const location = appendLog({ path: join(await scratch(), 'fold') })
  await expect(importSnapshot(artifact, location, { trustedKeys: [randomBytes(33)] })).rejects.toThrow(
    TypeError,
  )
  await expect(importSnapshot(artifact, location, { requireSignature: true })).rejects.toThrow(TypeError)
  expect(await location.exists()).toBe(false)
})

test('a signature that does not fit refuses the artifact, whoever trusts whom', async () => {
  const manifest = await readFile(join(signed, MANIFEST_FILE))
  const signature = await readFile(join(signed, SIGNATURE_FILE))
  const payload = await readFile(join(signed, 'data/fold.slip'))
  const { mkdir } = await import('node:fs/promises')
  const bent = async (file: Uint8Array | string, of = manifest): Promise<string> => {
    const artifact = join(await scratch(), 'artifact')
    await mkdir(join(artifact, 'data'), { recursive: true })
    await writeFile(join(artifact, 'data/fold.slip'), payload)
    await writeFile(join(artifact, MANIFEST_FILE), of)
    await writeFile(join(artifact, SIGNATURE_FILE), file)
    return artifact
  }
  expect(await refusal(await bent(signature), { trustedKeys: [key] })).toBeUndefined()
  expect(await refusal(await bent(`${signature.toString()}${signature.toString()}`), {})).toBeUndefined()
  for (let i = 0; i < signature.length; i += 13) {
    const flipped = Buffer.from(signature)
    flipped[i]! ^= 1
    expect(await refusal(await bent(flipped), {}), `byte ${i}`).toContain('signature')
  }
  for (const text of ['', '\n', 'ed25519', `${signature.toString()}x`, signature.toString().toUpperCase()])
    expect(await refusal(await bent(text), {}), JSON.stringify(text)).toContain('signature')
  expect(await refusal(await bent('x'.repeat(10_000)), {})).toContain('8192')
  const { createHash } = await import('node:crypto')
  const before = manifest
    .toString()
    .replace(/"created_at_unix": \d/, '"created_at_unix": 9')
    .split('"manifest_sha256"')[0]!
  const later = `${before}"manifest_sha256": "${createHash('sha256').update(before).digest('hex')}"\n}`
  expect(await refusal(await bent(signature, Buffer.from(later)), {})).toContain('signature')
})

test('limits of size, of files and of age', async () => {
  const { manifest, bytes } = await verifyArtifact(bare)
  expect(await refusal(bare, { maxBytes: bytes })).toBeUndefined()
  expect(await refusal(bare, { maxBytes: bytes - 1 })).toContain(`${bytes} bytes`)
  expect(await refusal(bare, { maxFiles: 1 })).toBeUndefined()
  expect(await refusal(bare, { maxFiles: 0 })).toContain('1 files')
  expect(await refusal(bare, { maxAgeMs: 3_600_000 })).toBeUndefined()
  await new Promise((resolve) => setTimeout(resolve, 1_100 - (Date.now() - manifest.createdAtUnix * 1000)))
  expect(await refusal(bare, { maxAgeMs: 1_000 })).toContain('time')
})

test('what is expected is compared with what is stated', async () => {
  expect(
    await refusal(bare, {
      expected: { ...BINDING, scope: { prefixes: ['route.', 'edge.'] }, notBehind: at(9) },
    }),
  ).toBeUndefined()
  expect(await refusal(bare, { expected: { kind: 'memory' } })).toContain('kind of source')
  expect(await refusal(bare, { expected: { name: 'other' } })).toContain('bucket')
  expect(await refusal(bare, { expected: { incarnation: 'other' } })).toContain('history')
  expect(await refusal(bare, { expected: { whenEvicted: 'keep' } })).toContain('evicts')
  expect(await refusal(bare, { expected: { scope: 'all' } })).toContain('scope')
  expect(await refusal(bare, { expected: { scope: { prefix: 'route.' } } })).toContain('scope')
  expect(await refusal(bare, { expected: { notBehind: at(10) } })).toContain('behind')
  expect(await refusal(bare, { expected: { notBehind: WatchCursor.none } })).toBeUndefined()
  // An interchange artifact states its scope and no more.
  expect(await refusal(interchange, { expected: { name: 'other', incarnation: 'other' } })).toBeUndefined()
  expect(await refusal(interchange, { expected: { scope: 'all' } })).toContain('scope')
  expect(
    await refusal(interchange, { expected: { scope: { prefixes: ['edge.', 'route.'] } } }),
  ).toBeUndefined()
})

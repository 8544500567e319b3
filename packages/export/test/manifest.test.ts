import { decodeManifest, encodeManifest, type Manifest } from '@slip/export'
import { SnapshotError, WatchCursor } from '@slip/kv-core'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { BINDING } from './folds.ts'
import { INTEROP, interopAnswers } from './interop.ts'
import { at, seededRandom } from './scratch.ts'

const MUTATIONS = Number(process.env['SLIP_MUTATED_MANIFESTS'] ?? 5_000)

const FILES = [{ path: 'data/fold.slip', size: 17, blake3: 'ab'.repeat(32) }]
const HEAD = { backend: 'append-log', cursor: at(9), createdAtUnix: 1_700_000_000, files: FILES }
const MANIFESTS: readonly Manifest[] = [
  { ...HEAD, schemaVersion: 1, backendVersion: '2' },
  { ...HEAD, schemaVersion: 2, backendVersion: '2', scope: ['b.', 'a.', 'a.'] },
  { ...HEAD, schemaVersion: 101, backendVersion: '3', entries: 3, binding: BINDING },
  { ...HEAD, schemaVersion: 101, backendVersion: '3', entries: 0, cursor: WatchCursor.none },
  {
    ...HEAD,
    schemaVersion: 101,
    backendVersion: '3',
    entries: 1,
    binding: {
      kind: 'memory',
      name: 'ключи "🔑"',
      scope: { sha256: '0'.repeat(64) },
      whenEvicted: 'keep',
      emptyValues: 'keep',
      evictionSeen: true,
    },
  },
]

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const bytes = (json: string): Uint8Array => new TextEncoder().encode(json)

/** With the checksum made right again, where there is one. */
function resealed(json: string): Uint8Array {
  const before = /^([\s\S]*)"manifest_sha256": "[^"]*"\n\}$/.exec(json)?.[1]
  if (before === undefined) return bytes(json)
  return bytes(`${before}"manifest_sha256": "${createHash('sha256').update(before).digest('hex')}"\n}`)
}

function refusal(manifest: Uint8Array): string | undefined {
  try {
    decodeManifest(manifest)
    return undefined
  } catch (error) {
    if (!SnapshotError.is(error) || error.code !== 'ArtifactInvalid') throw error
    return error.message
  }
}

test('what is written is read', () => {
  for (const manifest of MANIFESTS) expect(decodeManifest(encodeManifest(manifest))).toEqual(manifest)
})

test('manifests of the Rust system are written byte for byte', async () => {
  for (const [name, { verdict }] of await interopAnswers()) {
    if (verdict !== 'ok') continue
    const theirs = await readFile(join(INTEROP, name, 'MANIFEST.json'))
    expect(text(encodeManifest(decodeManifest(theirs)))).toBe(theirs.toString())
  }
})

const json = (manifest: Manifest): Record<string, unknown> =>
  JSON.parse(text(encodeManifest(manifest))) as Record<string, unknown>

const changed = (manifest: Manifest, change: object): Uint8Array =>
  resealed(JSON.stringify({ ...json(manifest), ...change }, undefined, 2))

const file = (change: object): object => ({ files: [{ ...FILES[0], ...change }] })
const bound = (change: object): object => ({
  binding: { ...(json(MANIFESTS[2]!)['binding'] as object), ...change },
})

const WRONG: readonly (readonly [number, object, string])[] = [
  ...[0, 3, 99, 100, 102].map((version) => [0, { schema_version: version }, 'schema_version'] as const),
  [0, { schema_version: '1' }, 'schema_version'],
  [0, { scope: [''] }, 'scope'],
  [1, { schema_version: 1 }, 'scope'],
  [0, { schema_version: 2 }, 'scope'],
  [1, { scope: 'a.' }, 'scope'],
  [1, { scope: [1] }, 'scope'],
  [0, { backend: 7 }, 'backend'],
  [0, { backend_version: 2 }, 'backend_version'],
  ...[
    '0',
    'zz',
    'AB',
    '+f',
    ' 00',
    '00'.repeat(11),
    '00'.repeat(13),
    '00'.repeat(21),
    `${'00'.repeat(10)}0004`,
  ].map((cursor_hex) => [0, { cursor_hex }, 'cursor_hex'] as const),
  [0, { created_at_unix: '1' }, 'created_at_unix'],
  [0, { created_at_unix: null }, 'created_at_unix'],
  [0, { files: {} }, 'files'],
  [0, { files: [] }, 'files'],
  [0, { files: [7] }, 'files[0]'],
  [0, { files: [FILES[0], FILES[0]] }, 'data/fold.slip'],
  ...[
    '../escape',
    '/abs/path',
    'data/../escape',
    'data/a\\b',
    'nondata/x',
    'data/',
    'data',
    'data/./x',
    'data//x',
    'data/x/',
    'Data/x',
    'data/..',
    'data/a\u0000b',
    '',
    '/data/x',
    './data/x',
  ].map((path) => [0, file({ path }), 'path'] as const),
  [0, file({ path: 7 }), 'files[0].path'],
  [0, file({ size: '17' }), 'files[0].size'],
  [0, file({ blake3: 'AB'.repeat(32) }), 'files[0].blake3'],
  [0, file({ blake3: 'ab'.repeat(31) }), 'files[0].blake3'],
  [0, file({ mode: 7 }), 'mode'],
  [0, { note: '' }, 'note'],
  [2, { hash: 'sha256' }, 'hash'],
  [2, { entries: '3' }, 'entries'],
  [2, { binding: [] }, 'binding'],
  [2, bound({ kind: 1 }), 'binding.kind'],
  [2, bound({ incarnation: null }), 'binding.incarnation'],
  [2, bound({ scope: {} }), 'binding.scope.sha256'],
  [2, bound({ scope: { sha256: 'x' } }), 'binding.scope.sha256'],
  [2, bound({ scope: [1] }), 'binding.scope'],
  [2, bound({ when_evicted: 'never' }), 'binding.when_evicted'],
  [2, bound({ empty_values: '' }), 'binding.empty_values'],
  [2, bound({ eviction_seen: 0 }), 'binding.eviction_seen'],
  [2, bound({ more: 0 }), 'more'],
]

test.each(WRONG.map(([of, change, named]) => [named, JSON.stringify(change), of, change] as const))(
  '%s is named where it is wrong: %s',
  (named, _text, of, change) => {
    expect(refusal(changed(MANIFESTS[of]!, change))).toContain(named)
  },
)

test('each field of each schema is needed, once', () => {
  for (const manifest of MANIFESTS) {
    const whole = json(manifest)
    for (const name of Object.keys(whole)) {
      const without = Object.fromEntries(Object.entries(whole).filter(([each]) => each !== name))
      expect(refusal(resealed(JSON.stringify(without, undefined, 2))), name).toContain(name)
      const twice = text(encodeManifest(manifest)).replace(
        '{',
        `{\n  "${name}": ${JSON.stringify(whole[name])},`,
      )
      expect(refusal(resealed(twice)), name).toContain('comes twice')
    }
  }
})

const MALFORMED: readonly (readonly [string, (good: string) => string | Uint8Array])[] = [
  ['nothing', () => ''],
  ['a mark in front', (good) => `\uFEFF${good}`],
  ['something behind', (good) => `${good} x`],
  ['a list', (good) => `[${good}]`],
  ['a fraction', (good) => good.replace('"size": 17', '"size": 17.0')],
  ['an exponent', (good) => good.replace('"size": 17', '"size": 17e0')],
  ['a negative number', (good) => good.replace('"size": 17', '"size": -17')],
  ['a leading zero', (good) => good.replace('"size": 17', '"size": 017')],
  ['a number that is rounded', (good) => good.replace('"size": 17', '"size": 9007199254740992')],
  ['a number of twenty digits', (good) => good.replace('"size": 17', '"size": 18446744073709551616')],
  ['a comma too many', (good) => good.replace('17,', '17,,')],
  ['half of a pair', (good) => good.replace('append-log', String.raw`append-log\ud83d`)],
  ['a raw control character', (good) => good.replace('append-log', 'append-\u0001log')],
  ['an unknown escape', (good) => good.replace('append-log', String.raw`append-\xlog`)],
  ['bytes that are not UTF-8', (good) => Buffer.concat([bytes(good.slice(0, 30)), Uint8Array.of(0xff)])],
  ['deep nesting', (good) => good.replace('17', '['.repeat(100_000))],
  ['a megabyte and more', (good) => good.replace('{', `{${' '.repeat(1024 * 1024)}`)],
]

test.each(MALFORMED)('%s is no manifest', (_what, bend) => {
  const bent = bend(text(encodeManifest(MANIFESTS[0]!)))
  expect(refusal(typeof bent === 'string' ? bytes(bent) : bent)).toBeDefined()
})

test('every order of fields and any white space is read in the schemas of the Rust system', () => {
  const reversed = Object.fromEntries(Object.entries(json(MANIFESTS[1]!)).reverse())
  expect(decodeManifest(bytes(`\n\t ${JSON.stringify(reversed)}\r\n`))).toEqual(MANIFESTS[1])
})

test('a manifest of ours in which any byte differs is refused', () => {
  const good = encodeManifest(MANIFESTS[2]!)
  for (let i = 0; i < good.length; i++)
    for (const flip of [1, 2, 4, 8, 16, 32, 64, 128, 255]) {
      const bent = good.slice()
      bent[i]! ^= flip
      expect(refusal(bent), `byte ${i} ^ ${flip}`).toBeDefined()
    }
})

test(
  `${MUTATIONS} mutated manifests: each is read as it is written or refused by name`,
  { timeout: 3_600_000 },
  () => {
    const random = seededRandom('mutated manifests')
    const sources = MANIFESTS.map((manifest) => text(encodeManifest(manifest)))
    let read = 0
    for (let round = 0; round < MUTATIONS; round++) {
      const source = mutated(sources[random(sources.length)]!, random)
      const bent = random(2) === 0 ? resealed(source) : bytes(source)
      if (refusal(bent) !== undefined) continue
      read++
      const manifest = decodeManifest(bent)
      expect(decodeManifest(encodeManifest(manifest))).toEqual(manifest)
      for (const { path } of manifest.files) expect(path).toMatch(/^data\/[^\\]+$/)
    }
    // Otherwise the mutations would be too rough to show anything.
    expect(read).toBeGreaterThan(MUTATIONS / 100)
  },
)

const TOKENS = [
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '0',
  '-1',
  '1e9',
  'null',
  'true',
  '""',
  '".."',
  '"data/../x"',
]

function mutated(source: string, random: (below: number) => number): string {
  let bent = source
  for (let left = 1 + random(3); left > 0; left--) {
    const place = random(bent.length)
    const other = place + random(Math.min(40, bent.length - place))
    const kind = random(6)
    if (kind === 0) bent = bent.slice(0, place) + bent.slice(other)
    else if (kind === 1) bent = bent.slice(0, other) + bent.slice(place)
    else if (kind === 2)
      bent = bent.slice(0, place) + String.fromCharCode(random(128)) + bent.slice(place + 1)
    else if (kind === 3) bent = bent.slice(0, place) + TOKENS[random(TOKENS.length)]! + bent.slice(place)
    else if (kind === 4)
      bent = bent.replace(/"[^"]*"|\d+/g, (word) =>
        random(12) === 0 ? TOKENS[random(TOKENS.length)]! : word,
      )
    else bent = bent.replaceAll(/\d/g, (digit) => (random(20) === 0 ? `${random(10)}` : digit))
  }
  return bent
}

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { link, mkdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { createBLAKE3 } from 'hash-wasm'

export type Random = (below: number) => number

/** An artifact to bend: its manifest as data, and the name of its payload. */
export interface Victim {
  readonly directory: string
  readonly manifest: Record<string, unknown>
  readonly name: string
}

/** Bends an artifact; `outside` is a file and a directory that nothing may reach. */
export type Bend = (
  victim: Victim,
  random: Random,
  outside: { readonly file: string; readonly directory: string },
) => Promise<void>

const payloadOf = ({ directory, name }: Victim): string => join(directory, 'data', name)

/** Writes a manifest that its own checksum fits. */
async function writeManifest({ directory }: Victim, fields: Record<string, unknown>): Promise<void> {
  const { manifest_sha256: sum, ...rest } = fields
  const text = JSON.stringify(rest, undefined, 2)
  const before = `${text.slice(0, -2)},\n  `
  const sealed = `${before}"manifest_sha256": "${createHash('sha256').update(before).digest('hex')}"\n}`
  await writeFile(join(directory, 'MANIFEST.json'), sum === undefined ? text : sealed)
}

/** Replaces the payload, and lists its size and digest: what a liar would do. */
async function writePayload(victim: Victim, bytes: Uint8Array): Promise<void> {
  await writeFile(payloadOf(victim), bytes)
  const hash = await createBLAKE3()
  const blake3 = hash.init().update(bytes).digest('hex')
  const files = [{ path: `data/${victim.name}`, size: bytes.length, blake3 }]
  await writeManifest(victim, { ...victim.manifest, files })
}

const field =
  (change: (random: Random) => object): Bend =>
  async (victim, random) =>
    writeManifest(victim, { ...victim.manifest, ...change(random) })

const listed =
  (change: (random: Random) => object): Bend =>
  async (victim, random) => {
    const files = victim.manifest['files'] as object[]
    await writeManifest(victim, { ...victim.manifest, files: [{ ...files[0], ...change(random) }] })
  }

const payload =
  (change: (bytes: Buffer, random: Random) => Uint8Array): Bend =>
  async (victim, random) =>
    writePayload(victim, change(await readFile(payloadOf(victim)), random))

const NAMES = [
  '../fold.slip',
  '../../escape',
  '/etc/passwd',
  'data/../../escape',
  'data/\\..\\escape',
  'data/.',
  'data/..',
  'data//fold.slip',
  'data/fold.slip/',
  'data/CON',
  'data/fold.slip\u0000.txt',
  'data/a/b/c',
  'data/__proto__',
  'C:\\escape',
  'data/fold.slip:stream',
  '~/escape',
  'data/$HOME',
  'data/%2e%2e/escape',
]
const WORDS = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '',
  '..',
  '/',
  'append-log ',
  'rocksdb',
]

/** A generation-2 record whose checksum is right, whatever it says. */
function record(...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const whole = Buffer.alloc(4 + body.length)
  whole.writeUInt32LE(crc32(body))
  body.copy(whole, 4)
  return whole
}

/** Ways to bend an artifact so that no import may take anything from it. */
export const ALWAYS_REFUSED: Readonly<Record<string, Bend>> = {
  name: listed((random) => ({ path: NAMES[random(NAMES.length)] })),
  'one name more': async (victim, random) => {
    const files = victim.manifest['files'] as object[]
    const path = NAMES[random(NAMES.length)]
    await writeManifest(victim, { ...victim.manifest, files: [...files, { ...files[0], path }] })
  },
  'ten thousand names': async (victim) => {
    const files = victim.manifest['files'] as object[]
    const many = Array.from({ length: 10_000 }, (_, i) => ({ ...files[0], path: `data/${i}` }))
    await writeManifest(victim, { ...victim.manifest, files: [...files, ...many] })
  },
  backend: field((random) => ({ backend: WORDS[random(WORDS.length)] })),
  version: field((random) => ({ backend_version: WORDS[random(WORDS.length)] })),
  schema: field((random) => ({ schema_version: 3 + random(90) })),
  size: listed((random) => ({ size: [0, 1, 2 ** 40, Number.MAX_SAFE_INTEGER][random(4)] })),
  digest: listed((random) => ({ blake3: random(2) === 0 ? '0'.repeat(64) : 'f'.repeat(63) })),
  cursor: field((random) => ({ cursor_hex: ['', '00', 'ff'.repeat(8), '0000000000000001'][random(4)] })),
  'one byte of the payload': async (victim, random) => {
    const bytes = await readFile(payloadOf(victim))
    bytes[random(bytes.length)]! ^= 1 << random(8)
    await writeFile(payloadOf(victim), bytes)
  },
  'payload cut short': async (victim, random) =>
    truncate(payloadOf(victim), random((await readFile(payloadOf(victim))).length)),
  'payload of noise': payload((bytes, random) => Buffer.from(bytes.map(() => random(256)))),
  'payload of zeros': payload((bytes) => Buffer.alloc(bytes.length)),
  'no payload': payload(() => new Uint8Array(0)),
  'payload without its end': payload((bytes, random) => bytes.subarray(0, random(bytes.length))),
  'payload of another program': payload(() => Buffer.from('#!/bin/sh\necho escape\n')),
  'payload missing': async (victim) => rm(payloadOf(victim)),
  'payload is a link out': async (victim, _random, { file }) => {
    await rm(payloadOf(victim))
    await symlink(file, payloadOf(victim))
  },
  'payload is a link to itself as it should be': async (victim) => {
    await rename(payloadOf(victim), join(victim.directory, 'aside'))
    await symlink('../aside', payloadOf(victim))
  },
  'payload is a directory': async (victim) => {
    await rm(payloadOf(victim))
    await mkdir(payloadOf(victim))
  },
  'payload is a pipe': async (victim) => {
    await rm(payloadOf(victim))
    execFileSync('mkfifo', [payloadOf(victim)])
  },
  'data is a link out': async (victim, _random, { directory }) => {
    await rm(join(victim.directory, 'data'), { recursive: true })
    await symlink(directory, join(victim.directory, 'data'))
  },
  'data is a file': async (victim) => {
    await rm(join(victim.directory, 'data'), { recursive: true })
    await writeFile(join(victim.directory, 'data'), '')
  },
  'something beside the payload': async (victim, random) =>
    writeFile(join(victim.directory, 'data', ['x', '.hidden', '-rf', 'ü'][random(4)]!), ''),
  'a link beside the payload': async (victim, _random, { directory }) =>
    symlink(directory, join(victim.directory, 'data/link')),
  'manifest is a link': async (victim, _random, { file }) => {
    await rm(join(victim.directory, 'MANIFEST.json'))
    await symlink(file, join(victim.directory, 'MANIFEST.json'))
  },
  'manifest is a pipe': async (victim) => {
    await rm(join(victim.directory, 'MANIFEST.json'))
    execFileSync('mkfifo', [join(victim.directory, 'MANIFEST.json')])
  },
  'manifest is a directory': async (victim) => {
    await rm(join(victim.directory, 'MANIFEST.json'))
    await mkdir(join(victim.directory, 'MANIFEST.json'))
  },
  'a manifest of two megabytes': async (victim) =>
    writeFile(join(victim.directory, 'MANIFEST.json'), `{${' '.repeat(2 ** 21)}}`),
  'signature is a link': async (victim, _random, { file }) =>
    symlink(file, join(victim.directory, 'MANIFEST.sig')),
  'signature of nothing': async (victim) => writeFile(join(victim.directory, 'MANIFEST.sig'), 'ed25519\n'),
}

/** Ways that may leave a fold, which then has to be the one that was exported. */
export const PERHAPS_THE_SAME: Readonly<Record<string, Bend>> = {
  'a payload with a flipped bit and its own digest': payload((bytes, random) => {
    const bent = Buffer.from(bytes)
    bent[random(bent.length)]! ^= 1 << random(8)
    return bent
  }),
  'a payload with a stretch of it elsewhere': payload((bytes, random) => {
    const bent = Buffer.from(bytes)
    const length = 1 + random(200)
    bytes.copy(bent, random(bytes.length), random(bytes.length), random(bytes.length) + length)
    return bent
  }),
  'the payload as a hard link': async (victim) => {
    const aside = join(victim.directory, 'aside')
    await rename(payloadOf(victim), aside)
    await link(aside, payloadOf(victim))
  },
  'something outside of data': async (victim, _random, { directory }) =>
    symlink(directory, join(victim.directory, 'link')),
}

/** Of generation 2: records whose checksums are right, and that no writer of ours makes. */
export const FORGED_LOGS: Readonly<Record<string, (random: Random) => Uint8Array>> = {
  'an unknown type': () => record(Buffer.from([9, 1, 0, 0x61, 0])),
  'a key that is not UTF-8': () => record(Buffer.from([1, 1, 0, 0xff, 0, 0, 0, 0, 0])),
  'a version of eleven bytes': () => record(Buffer.from([2, 1, 0, 0x61, 11, ...Buffer.alloc(11)])),
  'a cursor of thirteen bytes': () => record(Buffer.from([3, 13, ...Buffer.alloc(13)])),
  'a value that is longer than the file': () => record(Buffer.from([1, 1, 0, 0x61, 255, 255, 255, 3, 0])),
  'a value above every limit': () => record(Buffer.from([1, 1, 0, 0x61, 255, 255, 255, 255, 0])),
  'a cursor that goes on': (random) => record(Buffer.from([3, 8, 0, 0, 0, 0, 0, 0, 0, random(256)])),
  'half a record': () => record(Buffer.from([1, 1, 0, 0x61, 1, 0, 0, 0, 7, 0])).subarray(0, 7),
}

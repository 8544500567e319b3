import { createHash } from 'node:crypto'
import { WatchCursor, type Binding } from '@slip/kv-core'
import { refused } from './artifact-error.ts'
import { bindingFields, readBinding } from './manifest-binding.ts'
import { ManifestFields, shown } from './manifest-fields.ts'
import { parseStrictJson, type StrictJson } from './strict-json.ts'

/** The file that makes a directory an artifact. Its bytes are the artifact's identity. */
export const MANIFEST_FILE = 'MANIFEST.json'
/** Ours; 1 and 2 are the Rust system's. */
export const ARTIFACT_SCHEMA_VERSION = 101
/** Where the payload is: `data/` and a name. */
export const PAYLOAD_DIRECTORY = 'data'
/** A larger one is not read. */
export const MAX_MANIFEST_BYTES: number = 1024 * 1024

/** One file of the payload. */
export interface ManifestFile {
  /** `data/…`, separated by `/`. */
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** Of 256 bits, in lower-case hex. */
  readonly blake3: string
}

/** What an artifact says of itself. */
export interface Manifest {
  readonly schemaVersion: 1 | 2 | 101
  /** Whose layout the payload has: `append-log`, `lmdb`. */
  readonly backend: string
  /** Which of its layouts. */
  readonly backendVersion: string
  readonly cursor: WatchCursor
  readonly createdAtUnix: number
  readonly files: readonly ManifestFile[]
  /** Schema 2: the prefixes of the exporter's keys, as it was given them. */
  readonly scope?: readonly string[]
  /** Stated in schema 101; counted where the payload was read. */
  readonly entries?: number
  /** Schema 101: what the fold belongs to; absent when it is not bound. */
  readonly binding?: Binding
}

const DIGEST = /^[0-9a-f]{64}$/
/** How a manifest of ours ends: with the SHA-256 of everything before this field. */
const CHECKSUM_NAME = 'manifest_sha256'
const CHECKSUM_END = new RegExp(`^"${CHECKSUM_NAME}": "([0-9a-f]{64})"\n}$`)
const CHECKSUM_END_BYTES: number = `"${CHECKSUM_NAME}": ""\n}`.length + 64
const HEX = /^(?:[0-9a-f]{2})*$/

/** The bytes of a new manifest: of an interchange schema as the Rust system writes them. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const { schemaVersion, backend, backendVersion, cursor, createdAtUnix, files, scope } = manifest
  const head = {
    schema_version: schemaVersion,
    backend,
    backend_version: backendVersion,
    cursor_hex: cursor.toHex(),
    created_at_unix: createdAtUnix,
  }
  const listed = files.map(({ path, size, blake3 }) => ({ path, size, blake3 }))
  const whole =
    schemaVersion === 101
      ? {
          ...head,
          hash: 'blake3',
          entries: manifest.entries ?? 0,
          binding: bindingFields(manifest.binding),
          files: listed,
        }
      : { ...head, files: listed, ...(schemaVersion === 2 ? { scope: scope ?? [''] } : {}) }
  const text = JSON.stringify(whole, undefined, 2)
  return new TextEncoder().encode(schemaVersion === 101 ? withChecksum(text) : text)
}

function withChecksum(text: string): string {
  const before = `${text.slice(0, -2)},\n  `
  return `${before}"${CHECKSUM_NAME}": "${createHash('sha256').update(before).digest('hex')}"\n}`
}

function mustFitChecksum(bytes: Uint8Array): void {
  const from = Math.max(0, bytes.length - CHECKSUM_END_BYTES)
  const [, stated] = CHECKSUM_END.exec(Buffer.from(bytes.subarray(from)).toString('latin1')) ?? []
  if (stated !== createHash('sha256').update(bytes.subarray(0, from)).digest('hex'))
    throw refused(`its manifest is not what its ${CHECKSUM_NAME} says`)
}

/**
 * Reads the bytes of a manifest from anywhere. SnapshotError `ArtifactInvalid` names the field that is
 * missing, unknown, malformed or out of its range.
 */
export function decodeManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > MAX_MANIFEST_BYTES)
    throw refused(`its manifest has ${bytes.length} bytes, more than ${MAX_MANIFEST_BYTES}`)
  let value: StrictJson
  try {
    value = parseStrictJson(bytes)
  } catch (cause) {
    throw refused(`its manifest is malformed: ${(cause as Error).message}`, { cause })
  }
  const fields = new ManifestFields(value, '')
  const schemaVersion = readSchema(fields)
  const manifest: Manifest = {
    schemaVersion,
    backend: fields.text('backend'),
    backendVersion: fields.text('backend_version'),
    cursor: readCursor(fields.text('cursor_hex')),
    createdAtUnix: fields.count('created_at_unix'),
    ...(schemaVersion === 101 ? readNative(fields, bytes) : {}),
    files: readFiles(fields.list('files')),
    ...(schemaVersion === 2 ? { scope: fields.texts('scope') } : {}),
  }
  fields.end()
  return manifest
}

function readSchema(fields: ManifestFields): Manifest['schemaVersion'] {
  const version = fields.count('schema_version')
  if (version !== 1 && version !== 2 && version !== ARTIFACT_SCHEMA_VERSION)
    throw refused(`the manifest's schema_version ${version} is not 1, 2 or ${ARTIFACT_SCHEMA_VERSION}`)
  return version
}

function readCursor(hex: string): WatchCursor {
  if (!HEX.test(hex)) throw refused(`the manifest's cursor_hex ${shown(hex)} is no lower-case hex`)
  try {
    return WatchCursor.fromHex(hex)
  } catch (cause) {
    throw refused(`the manifest's cursor_hex is no cursor: ${(cause as Error).message}`, { cause })
  }
}

function readNative(fields: ManifestFields, bytes: Uint8Array): Pick<Manifest, 'entries' | 'binding'> {
  fields.text(CHECKSUM_NAME)
  mustFitChecksum(bytes)
  fields.oneOf('hash', ['blake3'])
  const entries = fields.count('entries')
  const binding = readBinding(fields.value('binding'))
  return binding === undefined ? { entries } : { entries, binding }
}

function readFiles(listed: readonly StrictJson[]): readonly ManifestFile[] {
  const seen = new Set<string>()
  const files = listed.map((each, i) => {
    const fields = new ManifestFields(each, `files[${i}].`)
    const path = fields.text('path')
    const size = fields.count('size')
    const blake3 = fields.text('blake3')
    fields.end()
    mustBePayloadPath(path)
    if (seen.has(path)) throw refused(`the manifest lists ${shown(path)} twice`)
    seen.add(path)
    if (!DIGEST.test(blake3)) throw refused(`the manifest's files[${i}].blake3 is no digest`)
    return { path, size, blake3 }
  })
  if (files.length === 0) throw refused('the manifest lists no files')
  return files
}

/** Under `data/`, without anything a file system could take for more than a name. */
function mustBePayloadPath(path: string): void {
  const [first, ...names] = path.split('/')
  if (first !== PAYLOAD_DIRECTORY || names.length === 0)
    throw refused(`the manifest's path ${shown(path)} is not under ${PAYLOAD_DIRECTORY}/`)
  for (const name of names)
    // oxlint-disable-next-line no-control-regex
    if (name === '' || name === '.' || name === '..' || /[\\\u0000]/.test(name))
      throw refused(`the manifest's path ${shown(path)} has a part that is no plain name`)
}

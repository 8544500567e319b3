import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotError, type PayloadFile } from '@slip/kv-core'
import { systemCode } from '@slip/kv-core/store-parts'
import { asIo, refused } from './artifact-error.ts'
import { openUntrusted, readStretches } from './artifact-files.ts'
import { HASH_STRETCH_BYTES, newBlake3 } from './blake3.ts'
import {
  decodeManifest,
  MANIFEST_FILE,
  MAX_MANIFEST_BYTES,
  PAYLOAD_DIRECTORY,
  type Manifest,
  type ManifestFile,
} from './manifest.ts'
import { shown } from './manifest-fields.ts'
import type { Progress } from './seal-artifact.ts'
import { MAX_SIGNATURE_FILE_BYTES, SIGNATURE_FILE } from './signature.ts'

/** The part of an artifact that can be judged before its payload is looked at. */
export interface ArtifactHead {
  readonly manifest: Manifest
  /** The artifact's identity. */
  readonly bytes: Uint8Array
  readonly signatures: Uint8Array | undefined
}

/** SnapshotError `NotFound` when there is no directory, `ArtifactInvalid` when it is none of an artifact. */
export async function readHead(directory: string): Promise<ArtifactHead> {
  const there = await lstat(directory).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined
    throw asIo(error, 'reading', directory)
  })
  if (there === undefined)
    throw new SnapshotError('NotFound', `there is no artifact at ${directory}`, { path: directory })
  const bytes = await readSmall(join(directory, MANIFEST_FILE), MAX_MANIFEST_BYTES)
  if (bytes === undefined) throw refused(`it has no ${MANIFEST_FILE}`, { path: directory })
  const signatures = await readSmall(join(directory, SIGNATURE_FILE), MAX_SIGNATURE_FILE_BYTES)
  return { manifest: decodeManifest(bytes), bytes, signatures }
}

/**
 * The payload's files, which are there, are regular, and have the sizes the manifest lists; nothing else is
 * beside them. They are opened by the names of their format. Each throws SnapshotError `ArtifactInvalid` while
 * it is read, at the latest behind its last byte, when it is not what the manifest says.
 */
export async function payloadFiles(
  directory: string,
  manifest: Manifest,
  names: readonly string[],
  options: { readonly signal?: AbortSignal | undefined; readonly onProgress?: Progress | undefined } = {},
): Promise<readonly PayloadFile[]> {
  const payload = join(directory, PAYLOAD_DIRECTORY)
  await mustHoldOnly(payload, names)
  const totalBytes = payloadBytes(manifest)
  let bytes = 0
  const onStretch = (length: number): void => {
    bytes += length
    options.onProgress?.({ bytes, totalBytes })
  }
  const found: PayloadFile[] = []
  for (const name of names) {
    const listed = manifest.files.find(({ path }) => path === `${PAYLOAD_DIRECTORY}/${name}`)!
    const path = join(payload, name)
    const facts = await lstat(path).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') throw refused(`it lacks ${listed.path}`, { path })
      throw asIo(error, 'reading', path)
    })
    if (!facts.isFile()) throw refused(`its ${listed.path} is no regular file`, { path })
    if (facts.size !== listed.size) throw wrongSize(listed, facts.size, path)
    found.push({ name, size: listed.size, read: () => verified(path, listed, onStretch, options.signal) })
  }
  return found
}

/** What the manifest promises. */
export function payloadBytes({ files }: Manifest): number {
  return files.reduce((sum, { size }) => sum + size, 0)
}

async function* verified(
  path: string,
  listed: ManifestFile,
  onStretch: (length: number) => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const opened = await openUntrusted(path).catch((error: unknown) => {
    if (['ENOENT', 'ELOOP', 'ENXIO'].includes(systemCode(error) ?? '')) return undefined
    throw asIo(error, 'opening', path)
  })
  if (opened === undefined) throw refused(`its ${listed.path} is no regular file`, { path })
  const { handle } = opened
  try {
    const hash = await newBlake3()
    let bytes = 0
    for await (const stretch of readStretches(handle, HASH_STRETCH_BYTES)) {
      signal?.throwIfAborted()
      bytes += stretch.length
      if (bytes > listed.size) throw wrongSize(listed, bytes, path)
      hash.update(stretch)
      onStretch(stretch.length)
      yield stretch
    }
    if (bytes !== listed.size) throw wrongSize(listed, bytes, path)
    if (hash.digest() !== listed.blake3)
      throw refused(`its ${listed.path} has another digest than the manifest lists`, { path })
  } catch (error) {
    throw asIo(error, 'reading', path, signal)
  } finally {
    await handle.close().catch(() => undefined)
  }
}

async function mustHoldOnly(payload: string, names: readonly string[]): Promise<void> {
  const facts = await lstat(payload).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined
    throw asIo(error, 'reading', payload)
  })
  if (facts?.isDirectory() !== true)
    throw refused(`it has no directory ${PAYLOAD_DIRECTORY}`, { path: payload })
  for (const name of await readdir(payload))
    if (!names.includes(name))
      throw refused(`it holds ${shown(`${PAYLOAD_DIRECTORY}/${name}`)}, which its manifest does not list`, {
        path: payload,
      })
}

/** A whole file of at most `mostBytes`; undefined when there is none. */
async function readSmall(path: string, mostBytes: number): Promise<Uint8Array | undefined> {
  const opened = await openUntrusted(path).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined
    if (['ELOOP', 'ENXIO'].includes(systemCode(error) ?? ''))
      throw refused(`${path} is no regular file`, { path })
    throw asIo(error, 'opening', path)
  })
  if (opened === undefined) {
    if (await isThere(path)) throw refused(`${path} is no regular file`, { path })
    return undefined
  }
  const { handle } = opened
  try {
    const bytes = new Uint8Array(mostBytes + 1)
    let filled = 0
    for (;;) {
      const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, filled)
      if (bytesRead === 0) return bytes.slice(0, filled)
      filled += bytesRead
      if (filled > mostBytes) throw refused(`${path} has more than ${mostBytes} bytes`, { path })
    }
  } catch (error) {
    throw asIo(error, 'reading', path)
  } finally {
    await handle.close()
  }
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

function wrongSize(listed: ManifestFile, bytes: number, path: string): SnapshotError {
  return refused(`its ${listed.path} has ${bytes} bytes, the manifest lists ${listed.size}`, { path })
}

import { join } from 'node:path'
import { systemCode, type LogHandle } from '@slip/kv-core/store-parts'
import { refused } from '../artifact-error.ts'
import { artifactFiles, readStretches } from '../artifact-files.ts'
import { HASH_STRETCH_BYTES, newBlake3, type Hasher } from '../blake3.ts'
import { MANIFEST_FILE, PAYLOAD_DIRECTORY, type Manifest, type ManifestFile } from '../manifest.ts'
import { MAX_SIGNATURE_FILE_BYTES, SIGNATURE_FILE } from '../signature.ts'
import { StretchWriter } from '../stretch-writer.ts'
import { cut, mustRead, readArchive } from './archive-entries.ts'
import type { RemoteStream } from './remote-stream.ts'

export interface UnpackOptions {
  readonly manifest: Manifest
  /** The bytes of the pointer, which the archive has to repeat. */
  readonly bytes: Uint8Array
  /** What the format calls the files of the payload. */
  readonly names: readonly string[]
  readonly signal: AbortSignal | undefined
  /** Bytes of the payload that are there now. */
  readonly onBytes: (length: number) => void
}

/**
 * Unpacks an archive into a stage, which afterwards is an artifact whose files have the sizes and digests
 * of the manifest, synced. What the stage has of a file already is kept and read instead of received. Gives the
 * signatures that came along.
 */
export async function unpackArchive(
  stream: RemoteStream,
  stage: string,
  { manifest, bytes, names, signal, onBytes }: UnpackOptions,
): Promise<Uint8Array | undefined> {
  await artifactFiles.mkdir(join(stage, PAYLOAD_DIRECTORY))
  const payload = new Map(names.map((name) => [`${PAYLOAD_DIRECTORY}/${name}`, name]))
  const wanted = new Set([MANIFEST_FILE, ...payload.keys()])
  let signatures: Uint8Array | undefined
  await readArchive(stream, new Set([...wanted, SIGNATURE_FILE]), async (path, size) => {
    wanted.delete(path)
    const name = payload.get(path)
    if (name !== undefined) {
      const listed = manifest.files.find((file) => file.path === path)!
      if (size !== listed.size)
        throw refused(`its archive has ${size} bytes of ${path}, the manifest lists ${listed.size}`)
      await receive(stream, join(stage, PAYLOAD_DIRECTORY, name), listed, signal, onBytes)
    } else if (path === SIGNATURE_FILE) {
      if (size > MAX_SIGNATURE_FILE_BYTES) throw refused(`its ${SIGNATURE_FILE} has ${size} bytes`)
      signatures = await mustRead(stream, size)
    } else if (size !== bytes.length || Buffer.compare(await mustRead(stream, size), bytes) !== 0)
      throw refused('its archive has another manifest than the pointer')
  })
  for (const path of wanted) throw refused(`its archive lacks ${path}`)
  await artifactFiles.syncDirectory(join(stage, PAYLOAD_DIRECTORY))
  await writeWhole(join(stage, MANIFEST_FILE), bytes)
  if (signatures !== undefined) await writeWhole(join(stage, SIGNATURE_FILE), signatures)
  return signatures
}

/**
 * Makes a file hold the next `size` bytes of a stream, of this digest; what it has of them already is read instead of
 * received. SnapshotError `ArtifactInvalid`, `PartialSpoilt`.
 */
export async function receive(
  stream: RemoteStream,
  path: string,
  listed: ManifestFile,
  signal: AbortSignal | undefined,
  onBytes: (length: number) => void,
): Promise<void> {
  const handle = await openPartial(path)
  try {
    const hash = await newBlake3()
    const kept = await keepPartial(handle, listed.size, hash, onBytes)
    await stream.skip(kept)
    const out = new StretchWriter(handle, (bytes) => hash.update(bytes), kept)
    await receiveInto(out, stream, listed.size, signal, onBytes)
    if (hash.digest() !== listed.blake3) {
      // What was kept may be to blame: the next attempt begins without it.
      await handle.truncate(0)
      throw kept > 0
        ? new PartialSpoilt()
        : refused(`its ${listed.path} has another digest than the manifest lists`)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Receives up to the position `end`; where that fails, what came is written. */
export async function receiveInto(
  out: StretchWriter,
  stream: RemoteStream,
  end: number,
  signal: AbortSignal | undefined,
  onBytes: (length: number) => void,
): Promise<void> {
  try {
    while (out.end < end) {
      signal?.throwIfAborted()
      const piece = await stream.piece(end - out.end)
      if (piece === undefined) throw cut()
      await out.add(piece)
      onBytes(piece.length)
    }
  } catch (error) {
    await out.flush().catch(() => undefined)
    throw error
  }
  await out.flush()
}

/** What an earlier download left was not what it should have been. */
export class PartialSpoilt extends Error {}

/** Opens a file that may be there, for reading and writing. */
export async function openPartial(path: string): Promise<LogHandle> {
  try {
    return await artifactFiles.open(path, 'update')
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    return artifactFiles.open(path, 'create')
  }
}

/** How many bytes are there already; they go into the hash. */
async function keepPartial(
  handle: LogHandle,
  size: number,
  hash: Hasher,
  onBytes: (length: number) => void,
): Promise<number> {
  const there = (await handle.stat()).size
  if (there > size) await handle.truncate(0)
  if (there > size) return 0
  for await (const stretch of readStretches(handle, HASH_STRETCH_BYTES)) {
    hash.update(stretch)
    onBytes(stretch.length)
  }
  return there
}

/** Writes all of some bytes. */
export async function writeAt(handle: LogHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;)
    at += (await handle.write(bytes, at, bytes.length - at, position + at)).bytesWritten
}

/** Makes a file hold these bytes, synced. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await openPartial(path)
  try {
    await handle.truncate(0)
    await writeAt(handle, bytes, 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

import { dirname, join, resolve } from 'node:path'
import { SnapshotError } from '@slip/kv-core'
import { systemCode } from '@slip/kv-core/store-parts'
import { artifactFiles, readStretches } from './artifact-files.ts'
import { HASH_STRETCH_BYTES, newBlake3 } from './blake3.ts'
import {
  encodeManifest,
  MANIFEST_FILE,
  PAYLOAD_DIRECTORY,
  type Manifest,
  type ManifestFile,
} from './manifest.ts'
import { SIGNATURE_FILE, signManifest } from './signature.ts'

/** Called as work goes on. */
export type Progress = (done: { readonly bytes: number; readonly totalBytes: number }) => void

/** SnapshotError `AlreadyExists` unless there is nothing at the path, or an empty directory. */
export async function mustBeFree(directory: string): Promise<void> {
  try {
    if ((await artifactFiles.readdir(directory)).length === 0) return
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    if (systemCode(error) !== 'ENOTDIR') throw error
  }
  throw alreadyExists(directory)
}

/** Gives a stage its name, in one step and durably. */
export async function publish(stage: string, directory: string): Promise<void> {
  const target = resolve(directory)
  try {
    await artifactFiles.rename(stage, target)
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw alreadyExists(directory)
    throw error
  }
  await artifactFiles.syncDirectory(dirname(target))
}

function alreadyExists(path: string): SnapshotError {
  return new SnapshotError('AlreadyExists', `there is something at ${path} already`, { path })
}

/** Reads the payload back, hashes and syncs it: its files as a manifest lists them. */
export async function hashPayload(
  directory: string,
  names: readonly string[],
  {
    signal,
    onProgress,
  }: { readonly signal?: AbortSignal | undefined; readonly onProgress?: Progress | undefined },
): Promise<readonly ManifestFile[]> {
  const paths = names.map((name) => join(directory, name))
  const sizes = await Promise.all(paths.map(async (path) => (await artifactFiles.stat(path)).size))
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0)
  let bytes = 0
  const listed: ManifestFile[] = []
  for (const [i, path] of paths.entries()) {
    const handle = await artifactFiles.open(path, 'read')
    try {
      const hash = await newBlake3()
      for await (const stretch of readStretches(handle, HASH_STRETCH_BYTES)) {
        signal?.throwIfAborted()
        hash.update(stretch)
        bytes += stretch.length
        onProgress?.({ bytes, totalBytes })
      }
      await handle.sync()
      listed.push({ path: `${PAYLOAD_DIRECTORY}/${names[i]!}`, size: sizes[i]!, blake3: hash.digest() })
    } finally {
      await handle.close()
    }
  }
  await artifactFiles.syncDirectory(directory)
  return listed.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** Writes the manifest, last of all, and makes the stage durable. */
export async function seal(
  stage: string,
  manifest: Manifest,
  signingKey: Uint8Array | undefined,
): Promise<void> {
  const bytes = encodeManifest(manifest)
  if (signingKey !== undefined) await writeWhole(join(stage, SIGNATURE_FILE), signManifest(bytes, signingKey))
  await writeWhole(join(stage, MANIFEST_FILE), bytes)
  await artifactFiles.syncDirectory(stage)
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await artifactFiles.open(path, 'create')
  try {
    for (let at = 0; at < bytes.length;)
      at += (await handle.write(bytes, at, bytes.length - at, at)).bytesWritten
    await handle.sync()
  } finally {
    await handle.close()
  }
}

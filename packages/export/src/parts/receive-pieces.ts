import type { ObjectStore, WaitOptions } from '@slip/kv-core'
import type { LogHandle } from '@slip/kv-core/store-parts'
import { refused } from '../artifact-error.ts'
import { HASH_STRETCH_BYTES, newBlake3, type Hasher } from '../blake3.ts'
import { RemoteStream } from '../remote/remote-stream.ts'
import { openPartial, PartialSpoilt, receiveInto } from '../remote/unpack-archive.ts'
import { StretchWriter } from '../stretch-writer.ts'
import { sizeOf, type Part } from './part-list.ts'
import { digestOf } from './part-name.ts'
import type { PartsProgress } from './parts-progress.ts'

/**
 * Makes a file hold some parts one after the other, synced; what it holds of them already is read instead of received.
 * Gives the digest of all of it; undefined when a part is not there. SnapshotError `ArtifactInvalid`, `PartialSpoilt`.
 */
export async function receivePieces(
  from: ObjectStore,
  prefix: string,
  pieces: readonly Part[],
  path: string,
  wait: WaitOptions,
  progress: PartsProgress,
): Promise<{ readonly digest: string; readonly size: number } | undefined> {
  const file = await openPartial(path)
  try {
    const there = (await file.stat()).size
    if (there > sizeOf(pieces)) await file.truncate(0)
    const whole = await newBlake3()
    let position = 0
    for (const piece of pieces) {
      const kept = there > sizeOf(pieces) ? 0 : Math.max(0, Math.min(piece.size, there - position))
      const found = await receivePiece(from, prefix, piece, { file, position, kept, whole }, wait, progress)
      if (!found) return undefined
      position += piece.size
    }
    await file.sync()
    return { digest: whole.digest(), size: position }
  } finally {
    await file.close()
  }
}

async function receivePiece(
  from: ObjectStore,
  prefix: string,
  piece: Part,
  at: { readonly file: LogHandle; readonly position: number; readonly kept: number; readonly whole: Hasher },
  wait: WaitOptions,
  progress: PartsProgress,
): Promise<boolean> {
  const { file, position, kept, whole } = at
  const hash = await newBlake3()
  const see = (bytes: Uint8Array): void => {
    hash.update(bytes)
    whole.update(bytes)
  }
  const onBytes = (length: number): void => progress.has(length)
  await readKept(file, position, kept, see, onBytes, wait.signal)
  if (kept < piece.size) {
    const stream = await RemoteStream.open(from, prefix + piece.part, { ...wait, verify: false })
    if (stream === undefined) return false
    progress.from(stream)
    try {
      mustHaveSize(stream, piece)
      await stream.skip(kept)
      const out = new StretchWriter(file, see, position + kept)
      await receiveInto(out, stream, position + piece.size, wait.signal, onBytes)
    } finally {
      progress.close(stream)
    }
  }
  if (hash.digest() === digestOf(piece.part)) return true
  await file.truncate(position)
  throw kept > 0
    ? new PartialSpoilt()
    : refused(`its part ${piece.part} holds something else than its name says`)
}

/** SnapshotError `ArtifactInvalid` for an object of another size than is listed. */
export function mustHaveSize(stream: RemoteStream, { part, size }: Part): void {
  if (stream.size !== size) throw refused(`its part ${part} has ${stream.size} bytes, ${size} are listed`)
}

async function readKept(
  file: LogHandle,
  from: number,
  length: number,
  see: (bytes: Uint8Array) => void,
  onBytes: (length: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stretch = new Uint8Array(Math.min(length, HASH_STRETCH_BYTES))
  for (let done = 0; done < length;) {
    signal?.throwIfAborted()
    const { bytesRead } = await file.read(stretch, 0, Math.min(stretch.length, length - done), from + done)
    if (bytesRead === 0) throw new PartialSpoilt()
    see(stretch.subarray(0, bytesRead))
    onBytes(bytesRead)
    done += bytesRead
  }
}

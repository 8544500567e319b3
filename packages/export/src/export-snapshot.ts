import { join } from 'node:path'
import type { Binding, Follower, SnapshotStore, WaitOptions } from '@slip/kv-core'
import { asIo } from './artifact-error.ts'
import { artifactFiles } from './artifact-files.ts'
import {
  copyInterchange,
  copyNative,
  copyRecords,
  type Copied,
  type CopyFold,
  type ExportableFold,
} from './copy-fold.ts'
import { PAYLOAD_DIRECTORY, type Manifest } from './manifest.ts'
import { hashPayload, mustBeFree, publish, seal, type Progress } from './seal-artifact.ts'
import { withStage } from './stage.ts'

export interface ExportOptions extends WaitOptions {
  /**
   * For the Rust system: 1 is what each of its versions reads; 2 states the scope, and is a `TypeError`
   * where that is unknown. Times of expiry and the lineage stay behind, what was seen of eviction goes
   * with the cursor.
   */
  readonly interchange?: 1 | 2 | undefined
  /**
   * Of an artifact of ours. `copy`: the store's own copy, which a store of its kind takes as it is. `records`: the same
   * bytes for the same state, whatever store it is in; published, only what changed since the artifact before is
   * sent and fetched. Not looked at with `interchange`. @default 'copy'
   */
  readonly layout?: 'copy' | 'records' | undefined
  /** The prefixes that schema 2 states, as they are to be stated. @default those the fold is bound to */
  readonly scope?: readonly string[] | undefined
  /** An Ed25519 private key, its 32 bytes or PKCS #8: a detached signature of the manifest lies beside it. */
  readonly signingKey?: Uint8Array | undefined
  /** Called with what the fold of an interchange artifact was bound to, which that does not state. */
  readonly onBinding?: ((binding: Binding | undefined) => void) | undefined
  /** The bytes of the payload that were read back and hashed. */
  readonly onProgress?: Progress | undefined
}

/**
 * Writes a fold as an artifact: a directory that is absent or empty before, and complete, durable and
 * verified by reading it back afterwards, or as it was. Reads of a live store go on. A follower is
 * copied between two flushes, and its applies wait only until the copy is pinned.
 *
 * SnapshotError `AlreadyExists` when the directory has something in it, `Busy` when somebody exports to
 * it, `LimitExceeded` for what an interchange artifact cannot hold, `Backend` for a store that has no
 * copies, `Io`.
 */
export async function exportSnapshot(
  source: SnapshotStore | Follower | ExportableFold,
  directory: string,
  options: ExportOptions = {},
): Promise<Manifest> {
  const { signal } = options
  signal?.throwIfAborted()
  const copy = copierOf(source)
  try {
    return await withStage(directory, signal, async (stage) => {
      await mustBeFree(directory)
      const payload = join(stage, PAYLOAD_DIRECTORY)
      await artifactFiles.mkdir(payload)
      const copied = await copyInto(payload, copy, options)
      const listed = await hashPayload(payload, copied.names, options)
      const manifest: Manifest = {
        ...copied.manifest,
        createdAtUnix: Math.floor(Date.now() / 1000),
        files: listed,
      }
      await seal(stage, manifest, options.signingKey)
      await publish(stage, directory)
      return manifest
    })
  } catch (error) {
    throw asIo(error, 'exporting to', directory, signal)
  }
}

async function copyInto(payload: string, copy: CopyFold, options: ExportOptions): Promise<Copied> {
  const { interchange, layout, signal } = options
  if (interchange !== undefined) return copyInterchange(copy, payload, { ...options, interchange })
  return layout === 'records' ? copyRecords(copy, payload, signal) : copyNative(copy, payload, signal)
}

function copierOf(source: SnapshotStore | Follower | ExportableFold): CopyFold {
  if (!('exclusive' in source)) return async (work) => work(source, () => undefined)
  return async <R>(work: (fold: ExportableFold, pinned: () => void) => Promise<R>) => {
    let result: Promise<R> | undefined
    await source.exclusive(
      async (store) =>
        new Promise<void>((release) => {
          result = work(store, release)
          result.then(
            () => release(),
            () => release(),
          )
        }),
    )
    return result!
  }
}

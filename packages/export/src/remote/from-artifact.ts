import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FollowOptions, ObjectStore, PayloadFormat, SourceDescription } from '@slip/kv-core'
import type { ArtifactLimits, ExpectedFold } from '../admission.ts'
import { importSnapshot } from '../import-snapshot.ts'
import { downloadArtifact, type DownloadProgress } from './download-artifact.ts'

export interface FromArtifactOptions extends ArtifactLimits {
  /**
   * A directory of the caller's own for what is fetched, on the disk of the fold if it can be. What came over a link
   * that stays broken is kept there, and gone on with. @default one of the system's temporary directories, removed afterwards
   */
  readonly scratchDirectory?: string | undefined
  /**
   * A directory of the caller's own where the artifact that was fetched last stays, so that of the next one only what changed
   * since is fetched. It takes the place of `scratchDirectory`. @default none is kept
   */
  readonly keepDirectory?: string | undefined
  /** How payloads of other stores are read; those of @slip are found where they are installed. */
  readonly formats?: readonly PayloadFormat[] | undefined
  readonly onProgress?: DownloadProgress | undefined
  /**
   * What the bucket's source says of it, as `KvWatcher.describe` does; undefined where it cannot be asked. With it an
   * artifact of a history that is over is refused, also when that ends while it is fetched. Without it
   * the follower finds out at its first attach, and makes the fold anew.
   */
  readonly source?: (() => Promise<CurrentHistory | undefined>) | undefined
}

type CurrentHistory = Pick<SourceDescription, 'kind' | 'name' | 'incarnation'>

/**
 * For `follow({ bootstrap })`: a node that has nothing starts from the newest artifact that is published under
 * `name`, and a replica of record that fell behind is repaired from it (`repair: 'auto'` or `'restore'`). What
 * is asked for is what the follower wants: its bucket and history as far as they are known, its scope, its
 * policy for what is evicted.
 *
 * Rejects with SnapshotError `ArtifactInvalid`, `Busy`, `Io`, and KvError of the transport.
 */
export function fromArtifact(
  from: ObjectStore,
  name: string,
  options: FromArtifactOptions = {},
): NonNullable<FollowOptions['bootstrap']> {
  return async (into, { signal, timeoutMs, wanted }) => {
    const { prefixes, scope, ...rest } = wanted
    const wantedNow = async (): Promise<ExpectedFold> => {
      const { kind, name: bucket, incarnation } = { ...(await options.source?.()) }
      return {
        ...(kind === undefined ? {} : { kind }),
        ...(bucket === undefined ? {} : { name: bucket }),
        ...(incarnation === undefined ? {} : { incarnation }),
        ...rest,
        ...(prefixes === undefined ? {} : { scope: { prefixes }, scopeMay: scope }),
      }
    }
    const given = options.keepDirectory ?? options.scratchDirectory
    const scratch = given ?? (await mkdtemp(join(tmpdir(), 'slip-artifact-')))
    const directory = join(scratch, 'artifact')
    const previous = options.keepDirectory === undefined ? undefined : join(scratch, 'previous')
    try {
      await rm(directory, { recursive: true, force: true })
      const found = await downloadArtifact(from, name, directory, {
        ...options,
        previous,
        expected: await wantedNow(),
        signal,
        timeoutMs,
      })
      if (found === undefined) return false
      const { onProgress: _, source: __, ...limits } = options
      const expected = await wantedNow()
      await importSnapshot(directory, into, { ...limits, scratchDirectory: scratch, expected, signal })
      if (previous !== undefined) {
        await rm(previous, { recursive: true, force: true })
        await rename(directory, previous)
      }
      return true
    } finally {
      await rm(given === undefined ? scratch : directory, { recursive: true, force: true })
    }
  }
}

import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Binding, Follower, KvStore, ObjectStore, SnapshotStore } from '@slip/kv-core'
import type { ExportableFold } from '../copy-fold.ts'
import { exportSnapshot, type ExportOptions } from '../export-snapshot.ts'
import type { Manifest } from '../manifest.ts'
import { pruneArtifacts } from '../remote/prune-artifacts.ts'
import { publishArtifact, type Published, type PublishOptions } from '../remote/publish-artifact.ts'
import { withStage } from '../stage.ts'
import { ExportLease, type LeaseOptions } from './export-lease.ts'
import { unchangedArtifact, type UnchangedArtifact } from './unchanged-artifact.ts'

export interface ExportRoundOptions
  extends Pick<ExportOptions, 'interchange' | 'scope' | 'signingKey'>, Pick<PublishOptions, 'source'> {
  readonly store: SnapshotStore | Follower | ExportableFold
  readonly lease: {
    readonly bucket: KvStore
    readonly key: string
    readonly holderId: string
    /** The round's period. Payloads that were replaced are left for four of it. */
    readonly ttlMs: number
  } & Pick<LeaseOptions, 'sightings' | 'now'>
  readonly to: ObjectStore
  readonly name: string
  /** Where the artifact lies until it is published. @default the system's temporary directory */
  readonly scratchDirectory?: string | undefined
  /**
   * How old what is published gets before it is made anew although the fold is as it was: until then a round
   * exports nothing. Of artifacts of ours only. @default 0: each round exports
   */
  readonly refreshMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Called instead of `onPublished` by a round that exported nothing. */
  readonly onUnchanged?: ((artifact: UnchangedArtifact) => void) | undefined
  readonly onPublished?: ((published: Published) => void) | undefined
  /** What failed beside the round, which goes on: the artifact is published, or its error is what counts. */
  readonly onTrouble?: ((step: 'complete' | 'prune' | 'abandon', error: unknown) => void) | undefined
}

const GRACE_ROUNDS = 4
/** Who was told to stop does not wait longer for a server that is away. */
const ABANDON_WITHIN_MS = 5_000

/**
 * One round of a fleet: lease, export, publish, complete, prune. undefined when another node holds the round. Where
 * the fold is as it was when it was published, and that is young enough, nothing is exported, and the manifest is
 * that of what is published. A round that fails abandons its lease, so that another node may begin at once, and rejects with what
 * `exportSnapshot` or `publishArtifact` did. An artifact that somebody's newer one superseded is a success.
 * What a process that died left in the scratch directory the next round there removes.
 */
export async function runExportRound(options: ExportRoundOptions): Promise<Manifest | undefined> {
  const { lease, signal } = options
  const { bucket, key, ...wanted } = lease
  const held = await ExportLease.tryAcquire(bucket, key, { ...wanted, signal })
  if (held === undefined) return undefined
  try {
    const unchanged = await unchangedArtifact(options)
    if (unchanged !== undefined) {
      options.onUnchanged?.(unchanged)
      await complete(options, held, unchanged.manifest)
      await prune(options)
      return unchanged.manifest
    }
    const scratch = join(options.scratchDirectory ?? tmpdir(), `slip-round-${randomUUID()}`)
    return await withStage(scratch, signal, (stage) =>
      exportAndPublish(options, held, join(stage, 'artifact')),
    )
  } catch (error) {
    // Not under the signal: others need not wait for what was aborted.
    await attempt(options, 'abandon', () => held.abandon({ signal: AbortSignal.timeout(ABANDON_WITHIN_MS) }))
    throw error
  }
}

async function exportAndPublish(
  options: ExportRoundOptions,
  held: ExportLease,
  directory: string,
): Promise<Manifest> {
  const { store, to, name, signal, interchange, scope, signingKey, source } = options
  let binding: Binding | undefined
  const manifest = await exportSnapshot(store, directory, {
    signal,
    onBinding: (found) => {
      binding = found
    },
    interchange,
    scope,
    signingKey,
    layout: 'records',
  })
  const published = await publishArtifact(directory, to, name, { signal, source, binding })
  options.onPublished?.(published)
  await complete(options, held, manifest)
  if (published.outcome === 'published') await prune(options)
  return manifest
}

async function complete(options: ExportRoundOptions, held: ExportLease, { cursor }: Manifest): Promise<void> {
  const { signal } = options
  await attempt(options, 'complete', () => held.complete(cursor, { signal }))
}

async function prune(options: ExportRoundOptions): Promise<void> {
  const { to, name, lease, signal } = options
  await attempt(options, 'prune', () =>
    pruneArtifacts(to, name, { graceMs: GRACE_ROUNDS * lease.ttlMs, signal }),
  )
}

async function attempt(
  { onTrouble }: ExportRoundOptions,
  step: 'complete' | 'prune' | 'abandon',
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    onTrouble?.(step, error)
  }
}

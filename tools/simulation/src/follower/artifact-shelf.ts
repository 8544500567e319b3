import {
  encodeLineage,
  MAX_ANCHORS,
  scopeCovers,
  scopePrefixes,
  WatchCursor,
  type Anchor,
  type BootstrapOptions,
  type KvUpdate,
  type Lineage,
  type SnapshotLocation,
} from '@slip/kv-core'
import type { SimBucket } from '../bucket/sim-bucket.ts'
import type { FollowerProfile, Profile } from '../plan/profile.ts'
import type { Random } from '../world/random.ts'
import type { World } from '../world/world.ts'

/** What another node published: its fold, as it stood when it was in step. */
interface Artifact {
  readonly updates: readonly KvUpdate[]
  readonly cursor: WatchCursor
  readonly lineage: Lineage
}

/** How many updates one commit has, so that a process can die between two. */
const COMMIT = 5
const JUST_PUBLISHED = 0.7

/**
 * Copies of the bucket as other nodes publish them from time to time; a follower that asks for one gets the newest,
 * of whatever history that is.
 */
export class ArtifactShelf {
  readonly #world: World
  readonly #bucket: SimBucket
  readonly #follower: FollowerProfile
  readonly #everyMs: number
  readonly #random: Random
  #newest: Artifact | undefined

  private constructor(world: World, bucket: SimBucket, profile: Profile, everyMs: number) {
    this.#world = world
    this.#bucket = bucket
    this.#follower = profile.follower
    this.#everyMs = everyMs
    this.#random = world.random('artifacts')
  }

  /** undefined in a world where nobody publishes. */
  static of(world: World, bucket: SimBucket, profile: Profile): ArtifactShelf | undefined {
    if (profile.artifacts === undefined) return undefined
    const shelf = new ArtifactShelf(world, bucket, profile, profile.artifacts.everyMs)
    shelf.#publishLater()
    return shelf
  }

  /** For `follow`: only beside a fold that goes on, as what a world begins with is what its checks know. */
  async put(into: SnapshotLocation, { wanted, signal }: BootstrapOptions): Promise<boolean> {
    if (wanted.notBehind === undefined) return false
    // Some node has just published, more often than not.
    if (this.#random.chance(JUST_PUBLISHED)) await this.#publish()
    const artifact = this.#newest
    if (artifact === undefined) return false
    const store = await into.open()
    const lineage = encodeLineage(artifact.lineage)
    for (let i = 0; i < artifact.updates.length; i += COMMIT) {
      signal?.throwIfAborted()
      await store.apply(artifact.updates.slice(i, i + COMMIT), WatchCursor.none)
    }
    await store.apply([], artifact.cursor, { lineage })
    await store.close()
    return true
  }

  #publishLater(): void {
    const { scheduler, server } = this.#world
    const afterMs = this.#everyMs * this.#random.fraction() * 2
    scheduler.post(server, 'completion', 'publish', afterMs, () => {
      void this.#publish().then(() => this.#publishLater())
    })
  }

  async #publish(): Promise<void> {
    const { scope, emptyValues } = this.#follower
    const prefixes = scopePrefixes(scope)
    const { described, updates } = await this.#bucket.content()
    const { kind, name, incarnation, lastRevision } = described
    if (lastRevision === undefined || lastRevision === 0n) return
    const inScope = updates.filter(({ key }) => scopeCovers(prefixes, key))
    this.#newest = {
      updates: inScope.map((update) => (emptyValues === 'keep' ? update : withoutEmpty(update))),
      cursor: WatchCursor.fromRevision(lastRevision),
      lineage: {
        binding: {
          kind,
          name,
          ...(incarnation === undefined ? {} : { incarnation }),
          scope: prefixes,
          whenEvicted: 'drop',
          ...(emptyValues === 'keep' ? { emptyValues } : {}),
          evictionSeen: false,
        },
        anchors: inScope.slice(-MAX_ANCHORS).map(anchorOf),
        anchorsComplete: inScope.length <= MAX_ANCHORS,
        settled: true,
      },
    }
  }
}

function withoutEmpty(update: KvUpdate): KvUpdate {
  if (update.operation !== 'put' || update.value.length > 0) return update
  const { key, version } = update
  return { operation: 'delete', key, version, reason: 'tombstone' }
}

function anchorOf({ key, version, writtenAtMs = 0 }: KvUpdate): Anchor {
  return { key, revision: version.revision!, timeMs: BigInt(Math.trunc(writtenAtMs)) }
}

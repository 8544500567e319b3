import {
  encodeLineage,
  follow,
  WatchCursor,
  VersionToken,
  type Anchor,
  type Follower,
  type KvEntry,
  type KvUpdate,
} from '@slip/kv-core'
import { MapLocation, type MapStore } from './map-store.ts'
import { TestBucket } from './test-bucket.ts'

/** How a commit of the repair goes wrong, once. `fails`: it rejects, and its process goes on. */
export type Fault = { readonly kind: 'fails' | 'before' | 'after'; readonly at: number } | undefined

export interface Schedule {
  /** Decides what was written, deleted and evicted. */
  readonly scenario: number
  /** Whether what follows the artifact is there before the follower starts, or comes when it is live. */
  readonly tail: 'before' | 'after'
  readonly maxCount: number
  readonly fault: Fault
}

interface Written {
  readonly key: string
  readonly value: string | undefined
}

const KEYS = 7
/** The clock of a test bucket at its first revision. */
const FIRST_MS = 1_000

/** One history, a fold that fell behind in it, an artifact that did not, and what has to come out. */
class Story {
  readonly bucket = new TestBucket()
  readonly tail: readonly Written[]
  readonly #written: Written[] = []
  readonly #random: () => number
  readonly #foldAt: number

  constructor(scenario: number) {
    this.#random = randomOf(scenario)
    this.bucket.evicts = true
    this.bucket.hasReader = true
    this.bucket.keepAliveMs = 2
    for (let i = 0; i < 3 + this.#below(6); i++) this.#write(this.#any())
    this.#foldAt = this.#written.length
    this.#moveOn()
    // Each of its own key: the first of them is what shows that the bucket still begins at the artifact.
    const keys = shuffled(KEYS, this.#random).slice(0, this.#below(4))
    this.tail = keys.map((key) => ({ key: `k${key}`, value: this.#random() < 0.7 ? 'tail' : undefined }))
  }

  /** The fold that fell behind. */
  fold(): MapLocation {
    return locationOf(this.#written, this.#foldAt)
  }

  /** A fold that heard all there is. */
  artifact(): MapLocation {
    return locationOf(this.#written, this.#written.length)
  }

  writeTail(): void {
    for (const written of this.tail) this.#write(written)
  }

  /** More is written and evicted, up to a newer artifact. */
  moveOn(): void {
    this.#moveOn()
  }

  get truth(): ReadonlyMap<string, string> {
    return stateOf(this.#written, this.#written.length).values
  }

  #moveOn(): void {
    for (let i = 0; i < 2 + this.#below(8); i++) this.#write(this.#any())
    const floor = BigInt(this.#foldAt + 2 + this.#below(this.#written.length - this.#foldAt - 1))
    for (let i = 0; i < KEYS; i++) {
      const newest = this.bucket.newest(`k${i}`)
      if (newest !== undefined && newest.version.revision! < floor) this.bucket.vanish(newest.key)
    }
    if (floor > this.bucket.floor) this.bucket.floor = floor
  }

  #write(written: Written): void {
    this.#written.push(written)
    if (written.value === undefined) this.bucket.delete(written.key)
    else this.bucket.put(written.key, written.value)
  }

  #any(): Written {
    const key = `k${this.#below(KEYS)}`
    return { key, value: this.#random() < 0.7 ? `${this.#written.length}` : undefined }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }
}

/** What went wrong, in words; undefined when nothing did. `commits` is how many the repair made. */
export async function runSchedule(
  schedule: Schedule,
): Promise<{ readonly commits: number; readonly broken?: string }> {
  const { scenario, tail, maxCount, fault } = schedule
  const story = new Story(scenario)
  if (tail === 'before') story.writeTail()
  const view = new Map<string, string>()
  for (const { key, value } of story.fold().image!.entries.values()) view.set(key, textOf(value))
  const broken: string[] = []
  let commits = 0
  /** Follows until all is there, or its process died; gives what it left on the disk then. */
  const live = async (
    location: MapLocation,
    artifact: MapLocation,
    death: Fault,
  ): Promise<MapLocation | undefined> => {
    let left: MapLocation | undefined
    let count = 0
    const revisions = new Map<string, bigint>()
    let cursor = -1n
    const die = (): never => {
      left = new MapLocation()
      left.copy(location)
      throw new Error('the process died')
    }
    location.failing = {
      open: () => {
        if (left !== undefined) throw new Error('the process is dead')
      },
      apply: () => {
        if (left !== undefined) throw new Error('the process is dead')
        if (count++ !== death?.at) return
        if (death.kind === 'before') die()
        if (death.kind === 'fails') throw new Error('the disk failed')
      },
      applied: () => {
        if (death?.kind === 'after' && count - 1 === death.at) die()
        const { entries, cursor: at } = location.image!
        if ((at.revision ?? 0n) < cursor) broken.push('the cursor went back')
        cursor = at.revision ?? 0n
        for (const [key, before] of revisions)
          if ((entries.get(key)?.version.revision ?? before) < before) broken.push(`${key} went back`)
        for (const [key, { version }] of entries) revisions.set(key, version.revision!)
      },
    }
    const follower: Follower<MapStore> = await follow<MapStore>({
      source: story.bucket.opener,
      store: location,
      whenEvicted: 'keep',
      auditIntervalMs: false,
      batch: { maxCount, windowMs: 0 },
      bootstrap: async (into) => {
        ;(into as MapLocation).copy(artifact)
        return true
      },
      apply: (batch: readonly KvUpdate[]) => {
        for (const update of batch)
          if (update.operation === 'put') view.set(update.key, textOf(update.value))
          else {
            const wasThere = view.delete(update.key)
            if (wasThere && update.reason === 'resync' && story.truth.has(update.key))
              broken.push(`${update.key} was deleted and is not gone`)
          }
      },
    })
    const isThere = (): boolean => left !== undefined || follower.cursor.revision === story.bucket.last
    try {
      await until(() => isThere() && (left !== undefined || follower.status.state === 'live'))
      commits = count
      if (left === undefined && tail === 'after') {
        if (story.bucket.last === artifact.image!.cursor.revision) story.writeTail()
        await until(isThere)
      }
    } catch (error) {
      broken.push(`${(error as Error).message} in ${follower.status.state} (${follower.status.error})`)
    }
    await follower.close().catch(() => undefined)
    return left
  }
  let location = story.fold()
  const left = await live(location, story.artifact(), fault)
  if (left !== undefined) {
    // Every second time the world has moved on when the process comes back.
    if (tail === 'after' && scenario % 2 === 1) story.moveOn()
    location = left
    await live(location, story.artifact(), undefined)
  }
  const held = new Map<string, string>()
  for (const { key, value } of location.image!.entries.values()) held.set(key, textOf(value))
  if (!isSame(held, story.truth)) broken.push(`the fold has ${shown(held)} and not ${shown(story.truth)}`)
  if (!isSame(view, story.truth)) broken.push(`apply was told ${shown(view)} and not ${shown(story.truth)}`)
  return broken.length === 0 ? { commits } : { commits, broken: broken.join('; ') }
}

/** A fold of all up to `count`, as a follower leaves it. */
function locationOf(written: readonly Written[], count: number): MapLocation {
  const { newest, values } = stateOf(written, count)
  const entries = new Map<string, KvEntry>()
  const deleted = new Map<string, VersionToken>()
  for (const [key, revision] of newest) {
    const version = VersionToken.fromRevision(BigInt(revision))
    const value = values.get(key)
    if (value === undefined) deleted.set(key, version)
    else entries.set(key, { key, value: new TextEncoder().encode(value), version })
  }
  const anchors: Anchor[] = [...newest]
    .sort(([, a], [, b]) => a - b)
    .map(([key, revision]) => ({ key, revision: BigInt(revision), timeMs: BigInt(FIRST_MS + revision) }))
  const location = new MapLocation()
  location.image = {
    entries,
    deleted,
    cursor: WatchCursor.fromRevision(BigInt(count)),
    lineage: encodeLineage({
      binding: {
        kind: 'test',
        name: 'config',
        incarnation: 'first',
        scope: [''],
        whenEvicted: 'keep',
        evictionSeen: true,
      },
      anchors,
      anchorsComplete: true,
      settled: true,
    }),
  }
  return location
}

function stateOf(
  written: readonly Written[],
  count: number,
): { readonly newest: Map<string, number>; readonly values: Map<string, string> } {
  const newest = new Map<string, number>()
  const values = new Map<string, string>()
  written.slice(0, count).forEach(({ key, value }, i) => {
    newest.set(key, i + 1)
    if (value === undefined) values.delete(key)
    else values.set(key, value)
  })
  return { newest, values }
}

async function until(reached: () => boolean): Promise<void> {
  const end = performance.now() + 20_000
  while (!reached()) {
    if (performance.now() > end) throw new Error('not reached')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

function textOf(value: Uint8Array): string {
  return new TextDecoder().decode(value)
}

function shown(values: ReadonlyMap<string, string>): string {
  return JSON.stringify(Object.fromEntries([...values].sort(([a], [b]) => (a < b ? -1 : 1))))
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return shown(a) === shown(b)
}

function shuffled(count: number, random: () => number): number[] {
  const numbers = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1))
    ;[numbers[i], numbers[other]] = [numbers[other]!, numbers[i]!]
  }
  return numbers
}

/** In 0 to 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

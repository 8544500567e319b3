import { KvError } from '@slip/kv-core'
import { BUCKET } from '../bucket/sim-bucket.ts'
import type { Surroundings } from '../follower/follower-life.ts'
import type { Action, BucketDeed } from '../plan/action.ts'
import type { Random } from '../world/random.ts'

/** Does to the bucket what a plan says, and keeps the record of it complete. */
export class BucketDeeds {
  readonly #around: Surroundings
  readonly #changed: () => void
  readonly #random: Random

  /** `changed` is called after each deed. */
  constructor(around: Surroundings, changed: () => void) {
    this.#around = around
    this.#changed = changed
    this.#random = around.world.random('server')
  }

  async perform(action: Action & BucketDeed): Promise<void> {
    await this.#perform(action)
    await this.#around.bucket.record()
    this.#changed()
  }

  async #perform(action: Action & BucketDeed): Promise<void> {
    const { bucket } = this.#around
    const { store, connection } = bucket
    switch (action.type) {
      case 'put':
        return this.#put(action.key, value(`${action.id}`, action.bytes), action.ttlMs)
      case 'delete':
        return accepted(store.writer.delete(action.key))
      case 'purge':
        return accepted(store.purger.purge(action.key))
      case 'burst':
        return this.#burst(action.id, action.count, action.gapMs)
      case 'purgePrefix':
        connection.faults.purgePrefix(BUCKET, action.prefix)
        return undefined
      case 'removeNewest':
        return this.#removeNewest(action.key)
      case 'removeMarkers':
        connection.faults.purgeDeletes(BUCKET)
        return undefined
      case 'evict':
        connection.faults.evict(BUCKET, action.count)
        return undefined
      case 'tighten':
        connection.faults.reconfigure(BUCKET, action.limits)
        return undefined
      case 'recreate':
        return bucket.recreate(action.silent)
      case 'backup':
        return bucket.backup()
      case 'restore':
        if (!bucket.isRestorable) return undefined
        this.#serverStarts()
        await bucket.restore()
        return this.#burst(action.id, action.regrow, 0)
      case 'rollback':
        this.#serverStarts()
        await bucket.rollback(action.by)
        return this.#burst(action.id, action.regrow, 0)
    }
  }

  /** A server loses writes when it starts again: connections end with it, unless another one takes them over. */
  #serverStarts(): void {
    if (this.#random.chance(0.5)) this.#around.wire.serverStarts++
  }

  async #removeNewest(key: string): Promise<void> {
    const { bucket } = this.#around
    const head = (await bucket.heads()).get(key)
    if (head !== undefined) bucket.connection.faults.removeMessage(BUCKET, BigInt(head.message.revision))
  }

  async #burst(id: number, count: number, gapMs: number): Promise<void> {
    const { world, bucket, profile } = this.#around
    const random = world.random(`burst ${id}`)
    for (let i = 0; i < count; i++) {
      const key = random.pick(profile.keys)
      const bytes = random.pick([3, 30, 100])
      const write = async (): Promise<void> => {
        await this.#put(key, value(`${id}.${i}`, bytes))
        await bucket.record()
      }
      if (gapMs === 0) await write()
      else
        world.scheduler.post(world.server, 'completion', 'burst', gapMs * i, () => {
          void write().then(this.#changed)
        })
    }
  }

  /** With a time to live where the bucket has markers; without a marker it leaves in silence. */
  async #put(key: string, text: string, ttlMs?: number): Promise<void> {
    const { store, connection } = this.#around.bucket
    if (ttlMs === undefined) return accepted(store.writer.put(key, text))
    if (this.#around.profile.bucket.markerTtlMs !== undefined)
      return accepted(store.ttl.put(key, text, ttlMs))
    return accepted((async () => connection.faults.putExpiring(BUCKET, key, text, ttlMs))())
  }
}

/** Different for every put, so that no value is ever taken for another. */
function value(name: string, bytes: number): string {
  return bytes === 0 ? '' : `${name}:`.padEnd(bytes, '.')
}

/** A full bucket may refuse. */
async function accepted(write: Promise<unknown>): Promise<void> {
  try {
    await write
  } catch (error) {
    if (!KvError.is(error) || error.code !== 'QuotaExceeded') throw error
  }
}

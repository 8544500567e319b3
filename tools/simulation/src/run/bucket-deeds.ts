import { KvError } from '@slip/kv-core'
import { BUCKET, type SimBucket } from '../bucket/sim-bucket.ts'
import type { Action, BucketDeed } from '../plan/action.ts'
import type { World } from '../world/world.ts'

/** Does to the bucket what a plan says, and keeps the record of it complete. */
export class BucketDeeds {
  readonly #world: World
  readonly #bucket: SimBucket
  readonly #keys: readonly string[]
  readonly #changed: () => void

  /** `changed` is called after each deed. */
  constructor(world: World, bucket: SimBucket, keys: readonly string[], changed: () => void) {
    this.#world = world
    this.#bucket = bucket
    this.#keys = keys
    this.#changed = changed
  }

  async perform(action: Action & BucketDeed): Promise<void> {
    await this.#perform(action)
    await this.#bucket.record()
    this.#changed()
  }

  async #perform(action: Action & BucketDeed): Promise<void> {
    const { store, connection } = this.#bucket
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
        return this.#remove(({ key }) => key === action.key)
      case 'removeMarkers':
        return this.#remove(({ operation }) => operation !== 'put')
      case 'evict':
        connection.faults.evict(BUCKET, action.count)
        return undefined
      case 'recreate':
        return this.#bucket.recreate()
      case 'rollback':
        await this.#bucket.rollback(action.by)
        return this.#burst(action.id, action.regrow, 0)
    }
  }

  async #remove(which: (message: { key: string; operation: string }) => boolean): Promise<void> {
    for (const { message } of (await this.#bucket.heads()).values())
      if (which(message)) this.#bucket.connection.faults.removeMessage(BUCKET, BigInt(message.revision))
  }

  async #burst(id: number, count: number, gapMs: number): Promise<void> {
    const random = this.#world.random(`burst ${id}`)
    const { scheduler, server } = this.#world
    for (let i = 0; i < count; i++) {
      const key = random.pick(this.#keys)
      const bytes = random.pick([3, 30, 100])
      const write = async (): Promise<void> => {
        await this.#put(key, value(`${id}.${i}`, bytes))
        await this.#bucket.record()
      }
      if (gapMs === 0) await write()
      else
        scheduler.post(server, 'completion', 'burst', gapMs * i, () => {
          void write().then(this.#changed)
        })
    }
  }

  #put(key: string, text: string, ttlMs?: number): Promise<void> {
    const { store } = this.#bucket
    return accepted(ttlMs === undefined ? store.writer.put(key, text) : store.ttl.put(key, text, ttlMs))
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

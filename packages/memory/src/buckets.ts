import { KvError, type StoreConfig } from '@slip/kv-core'
import { bucketSettings, type BucketSettings } from './bucket-settings.ts'
import { Bucket } from './bucket.ts'
import { checkBucketName } from './key.ts'

/** All buckets of a connection by name, and whether they can be reached. */
export class Buckets {
  readonly #buckets = new Map<string, Bucket>()
  readonly #now: () => number
  #state: 'up' | 'down' | 'closed' = 'up'

  constructor(now: () => number) {
    this.#now = now
  }

  get healthy(): boolean {
    return this.#state === 'up'
  }

  /** The bucket as of now. KvError `BucketNotFound`, `Unreachable` or `Closed`. */
  open(name: string): Bucket {
    const bucket = this.find(name)
    if (bucket === undefined) throw new KvError('BucketNotFound', `there is no bucket ${name}`)
    bucket.expire()
    return bucket
  }

  find(name: string): Bucket | undefined {
    if (this.#state === 'closed') throw new KvError('Closed', 'the connection is closed')
    if (this.#state === 'down') throw new KvError('Unreachable', 'the connection is down')
    checkBucketName(name)
    return this.#buckets.get(name)
  }

  create(name: string, config: StoreConfig): Bucket {
    return this.#add(name, bucketSettings(config))
  }

  delete(name: string): void {
    this.#end(name, new KvError('BucketNotFound', `bucket ${name} was deleted`))
  }

  /** The same name and settings with a new history. `silent`: open watches go on with what is no more. */
  recreate(name: string, silent: boolean): void {
    const error = new KvError('BucketRecreated', `bucket ${name} was deleted and made again`)
    this.#add(name, this.#end(name, silent ? undefined : error))
  }

  disconnect(): void {
    if (this.#state === 'closed') return
    this.#state = 'down'
    this.#failSessions(new KvError('Unreachable', 'the connection was lost'))
  }

  reconnect(): void {
    if (this.#state === 'down') this.#state = 'up'
  }

  close(): void {
    this.#state = 'closed'
    this.#failSessions(new KvError('Closed', 'the connection was closed'))
    this.#buckets.clear()
  }

  #add(name: string, settings: BucketSettings): Bucket {
    const bucket = new Bucket(name, settings, this.#now)
    this.#buckets.set(name, bucket)
    return bucket
  }

  #end(name: string, error: KvError | undefined): BucketSettings {
    const bucket = this.open(name)
    this.#buckets.delete(name)
    if (error !== undefined) bucket.failSessions(error)
    return bucket.settings
  }

  #failSessions(error: KvError): void {
    for (const bucket of this.#buckets.values()) bucket.failSessions(error)
  }
}

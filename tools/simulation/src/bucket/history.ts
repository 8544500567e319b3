/** One message a bucket ever held, as the record keeps it. */
export interface Message {
  readonly revision: number
  readonly key: string
  readonly operation: 'put' | 'delete' | 'purge' | 'expired'
  readonly value: string
}

/** One history of a bucket: it ends when the bucket is made anew or rolled back, and another begins. */
export class Branch {
  readonly incarnation: string
  /** The newest message of each key that the bucket still held when this history ended; undefined while it goes on. */
  lastHeads: Map<string, number> | undefined
  /** The last revision it gave, also to a message nobody saw; known when it ended. */
  endedAt: number = Infinity
  readonly #byRevision = new Map<number, Message>()
  readonly #byKey = new Map<string, Message[]>()
  #last = 0

  constructor(incarnation: string) {
    this.incarnation = incarnation
  }

  get lastRevision(): number {
    return this.#last
  }

  get keys(): Iterable<string> {
    return this.#byKey.keys()
  }

  add(message: Message): void {
    if (this.#byRevision.has(message.revision)) return
    this.#byRevision.set(message.revision, message)
    this.#last = Math.max(this.#last, message.revision)
    if (this.lastHeads !== undefined) {
      // A watch that heard nothing of the end may still be given markers.
      this.endedAt = Math.max(this.endedAt, message.revision)
      this.lastHeads.set(message.key, message.revision)
    }
    const ofKey = this.#byKey.get(message.key)
    if (ofKey === undefined) this.#byKey.set(message.key, [message])
    else {
      ofKey.push(message)
      ofKey.sort((a, b) => a.revision - b.revision)
    }
  }

  at(revision: number): Message | undefined {
    return this.#byRevision.get(revision)
  }

  /** The newest message of a key at or below `revision`. */
  newest(key: string, revision: number): Message | undefined {
    const ofKey = this.#byKey.get(key)
    if (ofKey === undefined) return undefined
    for (let i = ofKey.length - 1; i >= 0; i--) if (ofKey[i]!.revision <= revision) return ofKey[i]
    return undefined
  }

  /** What a roll back to `revision` leaves of it. */
  until(revision: number): Branch {
    const branch = new Branch(this.incarnation)
    for (const message of this.#byRevision.values()) if (message.revision <= revision) branch.add(message)
    return branch
  }
}

/** Everything that was ever written to a bucket, in every history it had. */
export class BucketHistory {
  readonly branches: Branch[]

  constructor(incarnation: string) {
    this.branches = [new Branch(incarnation)]
  }

  get current(): Branch {
    return this.branches.at(-1)!
  }

  /** The bucket goes on with another history; `heads` are the messages the last one ended with, at `endedAt`. */
  begin(next: Branch, heads: Map<string, number>, endedAt: number): void {
    this.current.lastHeads = heads
    this.current.endedAt = endedAt
    this.branches.push(next)
  }
}

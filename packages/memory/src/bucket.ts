import { randomUUID } from 'node:crypto'
import { KvError } from '@slip/kv-core'
import type { BucketSettings } from './bucket-settings.ts'
import { ExpiryQueue } from './expiry-queue.ts'
import { ListingCut } from './listing-cut.ts'
import { MessageLog } from './message-log.ts'
import { type Message, type MessageOperation, newestThrough, storedBytes } from './message.ts'
import type { Session } from './session.ts'

/** One write that is about to become a message. `value` belongs to the bucket from here on. */
export interface Write {
  readonly operation: MessageOperation
  readonly key: string
  readonly value: Uint8Array
  readonly ttlMs?: number
}

const NOTHING = new Uint8Array(0)

/** The state behind a bucket: a log of messages, an index by key, and the limits of the settings. */
export class Bucket {
  readonly name: string
  settings: BucketSettings
  readonly incarnation: string
  readonly log: MessageLog = new MessageLog()
  /** Changes whenever a key comes or goes. */
  keySetVersion = 0
  readonly #now: () => number
  readonly #heads = new Map<string, Message>()
  readonly #expiring: ExpiryQueue = new ExpiryQueue((message) => this.log.at(message.revision) === message)
  readonly #cuts = new Set<ListingCut>()
  readonly #sessions = new Set<Session>()
  #bytes = 0
  /** No later message has an earlier time. */
  #notBeforeMs = 0

  constructor(name: string, settings: BucketSettings, now: () => number) {
    this.name = name
    this.settings = settings
    this.#now = now
    this.incarnation = `${new Date(now()).toISOString()} ${randomUUID()}`
  }

  /** The clock of the bucket, Unix milliseconds. */
  get nowMs(): number {
    return this.#now()
  }

  /** Keys with any message, deleted ones included. */
  get keyCount(): number {
    return this.#heads.size
  }

  keys(): IterableIterator<string> {
    return this.#heads.keys()
  }

  head(key: string): Message | undefined {
    return this.#heads.get(key)
  }

  /** KvError `ValueTooLarge` and `QuotaExceeded`; nothing has changed then. */
  write(write: Write): Message {
    const { maxValueBytes } = this.settings
    if (maxValueBytes !== undefined && write.value.length > maxValueBytes)
      throw new KvError(
        'ValueTooLarge',
        `the value of ${write.key} has ${write.value.length} bytes, bucket ${this.name} takes ${maxValueBytes}`,
      )
    this.#checkQuota(write)
    return this.#append(write)
  }

  /** Removes one message, leaving no marker; an older one of its key is uncovered. */
  remove(message: Message): void {
    for (const cut of this.#cuts) cut.removing(message)
    this.log.remove(message.revision)
    this.#bytes -= storedBytes(message)
    const head = this.#heads.get(message.key)
    if (head !== message) {
      let newer = head
      while (newer !== undefined && newer.older !== message) newer = newer.older
      if (newer !== undefined) newer.older = message.older
    } else if (message.older === undefined) {
      this.#heads.delete(message.key)
      this.keySetVersion++
    } else this.#heads.set(message.key, message.older)
  }

  /** Brings the bucket up to the present: what is past its time leaves, with a marker where configured. */
  expire(): void {
    const now = this.#now()
    for (
      let due = this.#expiring.peek();
      due !== undefined && due.expiresAtMs <= now;
      due = this.#expiring.peek()
    ) {
      this.#expiring.pop()
      this.#expireMessage(due)
    }
    const { maxAgeMs } = this.settings
    if (maxAgeMs === undefined) return
    for (let oldest = this.log.after(0); oldest !== undefined; oldest = this.log.after(0)) {
      if (oldest.timeMs + maxAgeMs > now) return
      this.#expireMessage(oldest)
    }
  }

  /** Milliseconds until something expires next; Infinity when nothing will. */
  untilNextExpiry(): number {
    const { maxAgeMs } = this.settings
    const ttlAt = this.#expiring.peek()?.expiresAtMs ?? Infinity
    const oldest = maxAgeMs === undefined ? undefined : this.log.after(0)
    const ageAt = oldest === undefined ? Infinity : oldest.timeMs + maxAgeMs!
    return Math.min(ttlAt, ageAt) - this.#now()
  }

  /** Other limits from now on, applied to what is held at once. */
  reconfigure(settings: BucketSettings): void {
    this.settings = settings
    for (const head of this.#heads.values()) this.#trim(head, settings.history)
    this.#discardOld()
    this.expire()
  }

  /** Undoes every message above `revision`. What those had already superseded does not come back. */
  rollback(revision: number): void {
    this.#cameBack()
    for (let message = this.log.after(revision); message !== undefined; message = this.log.after(revision))
      this.remove(message)
    this.log.rewind(revision)
  }

  /** Everything the bucket holds, oldest first. */
  messages(): readonly Message[] {
    const messages: Message[] = []
    for (let at = this.log.after(0); at !== undefined; at = this.log.after(at.revision)) messages.push(at)
    return messages
  }

  /** Holds exactly these messages again, which `messages` gave when the last revision was `revision`. */
  restore(messages: readonly Message[], revision: number): void {
    this.rollback(0)
    for (const message of messages) this.#hold({ ...message, older: this.#heads.get(message.key) })
    this.log.rewind(revision)
  }

  /** To be given to `closeCut` when it is read to its end or dropped. */
  openCut(): ListingCut {
    const cut = new ListingCut(this.log, (key) => this.#heads.get(key))
    this.#cuts.add(cut)
    return cut
  }

  closeCut(cut: ListingCut): void {
    this.#cuts.delete(cut)
  }

  addSession(session: Session): void {
    this.#sessions.add(session)
  }

  removeSession(session: Session): void {
    this.#sessions.delete(session)
  }

  failSessions(error: KvError): void {
    for (const session of this.#sessions) session.fail(error)
  }

  #append(write: Write): Message {
    const now = Math.max(this.#now(), this.#notBeforeMs)
    const message: Message = {
      revision: this.log.lastRevision + 1,
      key: write.key,
      value: write.value,
      operation: write.operation,
      timeMs: now,
      expiresAtMs: write.ttlMs === undefined ? undefined : now + this.#effectiveTtl(write.ttlMs),
      older: this.#heads.get(write.key),
    }
    this.#hold(message)
    this.#trim(
      message,
      write.operation === 'purge' || write.operation === 'expired' ? 1 : this.settings.history,
    )
    this.#discardOld()
    for (const session of this.#sessions) session.wake()
    return message
  }

  #hold(message: Message): void {
    if (message.older === undefined) this.keySetVersion++
    this.#heads.set(message.key, message)
    this.log.append(message)
    this.#expiring.add(message)
    this.#bytes += storedBytes(message)
  }

  /** A server that comes back took longer than a tick of its clock. */
  #cameBack(): void {
    const { lastRevision } = this.log
    this.#notBeforeMs = Math.max(this.#notBeforeMs, (this.log.at(lastRevision)?.timeMs ?? this.#now()) + 1)
  }

  /** With history, nats-server raises a time to live to that of the markers. */
  #effectiveTtl(ttlMs: number): number {
    return this.settings.history > 1 ? Math.max(ttlMs, this.settings.markerTtlMs ?? 0) : ttlMs
  }

  #trim(head: Message, keep: number): void {
    let last = head
    for (let kept = 1; kept < keep && last.older !== undefined; kept++) last = last.older
    while (last.older !== undefined) this.remove(last.older)
  }

  #discardOld(): void {
    const { discard, maxBytes } = this.settings
    if (discard !== 'old' || maxBytes === undefined) return
    while (this.#bytes > maxBytes) this.remove(this.log.after(0)!)
  }

  /** A key at its history limit gives back the bytes of its oldest message, so overwriting works in a full bucket. */
  #checkQuota(write: Write): void {
    const { discard, maxBytes, history } = this.settings
    if (discard !== 'new' || maxBytes === undefined) return
    let freed = 0
    let depth = 0
    for (let message = this.#heads.get(write.key); message !== undefined; message = message.older)
      if (++depth === history) freed = storedBytes(message)
    if (this.#bytes - freed + storedBytes(write) > maxBytes)
      throw new KvError(
        'QuotaExceeded',
        `bucket ${this.name} is full: it holds ${this.#bytes} of ${maxBytes} bytes`,
      )
  }

  #expireMessage(message: Message): void {
    const { markerTtlMs } = this.settings
    const wasLast = this.#heads.get(message.key) === message && message.older === undefined
    this.remove(message)
    const isMarker = message.operation === 'expired' || message.operation === 'purge'
    if (wasLast && !isMarker && markerTtlMs !== undefined)
      this.#append({ operation: 'expired', key: message.key, value: NOTHING, ttlMs: markerTtlMs })
  }

  /** The newest message of a key at or below `revision`. */
  newestThrough(key: string, revision: number): Message | undefined {
    return newestThrough(this.#heads.get(key), revision)
  }
}

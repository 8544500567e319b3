import { WatchCursor, type KvUpdate, type WatchBatch } from '@slip/kv-core'

import { PackedQueue, type PackedUpdates } from './packed-updates.ts'

/** A batch in the making, with what becomes true when it was handed over. */
interface Chunk {
  updates: KvUpdate[]
  /** What came before those and waits behind others. */
  readonly packed: PackedUpdates[]
  /** How many there are of both. */
  count: number
  /** Flow-control subjects to answer once the reader asks for what follows. */
  readonly owed: string[]
  messages: number
  bytes: number
  frontier: number
  atEnd: boolean
  caughtUp: boolean
  /** To be handed over even without updates: a proof of life. */
  pulse: boolean
  /** When something of it came last, monotonic; undefined while nothing did. */
  receivedAtMs: number | undefined
}

const MAX_UPDATES = 1_024
const MAX_MESSAGES = 8_192
const MAX_CHUNK_BYTES = 4 * 1024 * 1024
/** A reader that is never behind by more than this costs no packing. */
const UNPACKED_BYTES = 256 * 1024
/** How many updates of a reader that is behind wait for their packing. */
const MAX_UNPACKED = 256
/**
 * The server sends the next half of its window, 16 MiB, when a request is answered: a reader that is behind by more
 * has enough to do until that is here.
 */
const ENOUGH_BYTES = 2 * 1024 * 1024

/**
 * The queue between the subscription's callback and the reader of a session. It is bounded by the
 * server's flow-control window (32 MiB at most, mostly half of it), because a flow-control request is answered only when
 * the reader, done with everything received before it, asks for more, and little is left.
 */
export class Intake {
  readonly #answer: (subject: string) => void
  readonly #sealed: Chunk[] = []
  readonly #packed = new PackedQueue()
  #open: Chunk
  #handed: Chunk | undefined
  /** Owed for what was consumed. */
  #due: string[] = []
  readonly #ended: Promise<never>
  #reject: (error: unknown) => void = () => undefined
  #failure: { readonly error: unknown } | undefined
  #waiting: (() => void) | undefined
  #saidCaughtUp = false
  #queuedBytes = 0
  #peakBytes = 0

  constructor(answer: (subject: string) => void, frontier: number) {
    this.#answer = answer
    this.#ended = new Promise<never>((_, reject) => (this.#reject = reject))
    this.#ended.catch(() => undefined)
    this.#open = emptyChunk(frontier)
  }

  /** Received and not handed over, in bytes on the wire. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** The most there ever was. */
  get peakBytes(): number {
    return this.#peakBytes
  }

  /** A message, and whether nothing lay beyond it; without `update` it only moves the frontier. */
  received(update: KvUpdate | undefined, bytes: number, frontier: number, atEnd = false): void {
    const chunk = this.#open
    chunk.messages++
    chunk.bytes += bytes
    chunk.frontier = frontier
    chunk.atEnd = atEnd
    // To look at the clock for each message costs too much: `heard` tells of those that follow.
    chunk.receivedAtMs ??= performance.now()
    this.#queuedBytes += bytes
    if (this.#queuedBytes > this.#peakBytes) this.#peakBytes = this.#queuedBytes
    if (update !== undefined) {
      chunk.updates.push(update)
      chunk.count++
      if (chunk.updates.length >= MAX_UNPACKED && this.#isBehind(chunk)) this.#pack(chunk)
      this.#wake()
    }
    if (chunk.count >= MAX_UPDATES || chunk.messages >= MAX_MESSAGES || chunk.bytes >= MAX_CHUNK_BYTES)
      this.#seal()
  }

  /** The source was alive at `receivedAtMs`, and nothing is undelivered up to `frontier`. */
  pulse(frontier: number, atEnd = false, receivedAtMs: number = performance.now()): void {
    this.#open.frontier = frontier
    this.#open.atEnd = atEnd
    this.#open.pulse = true
    this.#stamp(receivedAtMs)
    this.#wake()
  }

  /** The last of what is here, if anything is, came at `atMs` or later. */
  heard(atMs: number): void {
    if (this.#open.receivedAtMs !== undefined) this.#stamp(atMs)
  }

  /** Everything that existed at the start was received, the last of it just before: a batch ends here. Said once. */
  caughtUp(frontier: number, atEnd = false): void {
    if (this.#saidCaughtUp) return
    this.#saidCaughtUp = true
    this.#open.caughtUp = true
    this.#stamp(performance.now())
    this.#open.frontier = frontier
    this.#open.atEnd = atEnd
    this.#seal()
    this.#wake()
  }

  /** The server waits for `subject`; naming one that is still owed again changes nothing. */
  owe(subject: string): void {
    const chunks = [...(this.#handed ? [this.#handed] : []), ...this.#sealed, this.#open]
    if (this.#due.includes(subject) || chunks.some((chunk) => chunk.owed.includes(subject))) return
    this.#open.owed.push(subject)
    this.#wake()
  }

  /** Ends the queue at once: what was not handed over will be delivered to the next session. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { error }
    this.#reject(error)
    this.#wake()
  }

  /** `work`, or the failure when that comes first. */
  async orFailure<T>(work: Promise<T>): Promise<T> {
    return await Promise.race([work, this.#ended])
  }

  /** The next batch. Asking says that everything handed over before was consumed. */
  async take(): Promise<WatchBatch> {
    this.#settle()
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error
      const chunk = this.#next()
      if (chunk !== undefined) {
        this.#queuedBytes -= chunk.bytes
        this.#unpack(chunk)
        this.#handed = chunk
        return batchOf(chunk)
      }
      // oxlint-disable-next-line no-await-in-loop -- this is the wait for a message
      await new Promise<void>((resolve) => (this.#waiting = resolve))
    }
  }

  #stamp(atMs: number): void {
    const { receivedAtMs } = this.#open
    if (receivedAtMs === undefined || atMs > receivedAtMs) this.#open.receivedAtMs = atMs
  }

  #seal(): void {
    const chunk = this.#open
    if (this.#isBehind(chunk)) this.#pack(chunk)
    this.#sealed.push(chunk)
    this.#open = emptyChunk(chunk.frontier)
  }

  /** Whether much waits in front of the newest chunk. */
  #isBehind({ bytes }: Chunk): boolean {
    return this.#queuedBytes > UNPACKED_BYTES + bytes
  }

  #pack(chunk: Chunk): void {
    chunk.packed.push(this.#packed.pack(chunk.updates))
    chunk.updates = []
  }

  #unpack(chunk: Chunk): void {
    const packed = chunk.packed.splice(0)
    if (packed.length > 0) chunk.updates = [...this.#packed.unpack(packed), ...chunk.updates]
  }

  #next(): Chunk | undefined {
    const sealed = this.#sealed.shift()
    if (sealed !== undefined) return sealed
    const chunk = this.#open
    if (chunk.count === 0 && !chunk.pulse) {
      // Nothing before these requests is with the reader any more.
      this.#due.push(...chunk.owed.splice(0))
      this.#answerDue()
      return undefined
    }
    this.#open = emptyChunk(chunk.frontier)
    return chunk
  }

  #settle(): void {
    this.#due.push(...(this.#handed?.owed ?? []))
    this.#handed = undefined
    if (this.#queuedBytes <= ENOUGH_BYTES) this.#answerDue()
  }

  #answerDue(): void {
    for (const subject of this.#due.splice(0)) this.#answer(subject)
  }

  #wake(): void {
    this.#waiting?.()
    this.#waiting = undefined
  }
}

function emptyChunk(frontier: number): Chunk {
  return {
    updates: [],
    packed: [],
    count: 0,
    owed: [],
    messages: 0,
    bytes: 0,
    frontier,
    atEnd: false,
    caughtUp: false,
    pulse: false,
    receivedAtMs: undefined,
  }
}

function batchOf(chunk: Chunk): WatchBatch {
  const { updates, caughtUp, atEnd, frontier, receivedAtMs } = chunk
  return frontier === 0
    ? { updates, caughtUp, atEnd, receivedAtMs }
    : { updates, caughtUp, atEnd, receivedAtMs, bookmark: WatchCursor.fromRevision(BigInt(frontier)) }
}

import { createHash } from 'node:crypto'
import {
  KvError,
  type ListedObject,
  type ObjectGetOptions,
  type ObjectPutOptions,
  type ObjectStore,
  type StoredObject,
} from '@slip/kv-core'

export type Objects = Map<string, Uint8Array>

export type Call = 'pointer read' | 'pointer moved' | 'source asked' | 'payload'

interface Waiting {
  readonly call: Call
  readonly go: (answer: 'heard' | 'lost') => void
  readonly refuse: (reason: unknown) => void
}

/** One process that calls the store: every call waits until it is let through. */
export class GatedActor {
  readonly store: GatedObjects
  #waiting: Waiting | undefined
  #running = false
  #failure: unknown
  #wake: () => void = () => undefined
  #abort = new AbortController()
  #ended: Promise<void> = Promise.resolve()

  constructor(objects: Objects, pointer: string) {
    this.store = new GatedObjects(objects, pointer, (call) => this.gate(call))
  }

  /** What it waits for; undefined while it does nothing. */
  get call(): Call | undefined {
    return this.#waiting?.call
  }

  /** How the last run failed. */
  get failure(): unknown {
    return this.#failure
  }

  /** Begins, up to the first call. */
  async begin(work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    if (this.#running) throw new Error('it runs already')
    this.#abort = new AbortController()
    this.#running = true
    this.#failure = undefined
    const ended = (failure?: unknown): void => {
      this.#running = false
      this.#failure = failure
      this.#wake()
    }
    this.#ended = work(this.#abort.signal).then(() => ended(), ended)
    await this.#stopped()
  }

  /** Lets the call through that it waits for, and waits for the next one, or the end. */
  async pass(call: Call, answer: 'heard' | 'lost' = 'heard'): Promise<void> {
    const waiting = this.#waiting
    if (waiting?.call !== call) throw new Error(`it waits for ${waiting?.call ?? 'nothing'}, not for ${call}`)
    this.#waiting = undefined
    waiting.go(answer)
    await this.#stopped()
  }

  async passAll(call: Call): Promise<void> {
    do await this.pass(call)
    while (this.call === call)
  }

  /** The process is gone, and nothing that it waits for happens. */
  async abandon(): Promise<void> {
    this.#abort.abort(new Error('gone'))
    this.#waiting?.refuse(this.#abort.signal.reason)
    this.#waiting = undefined
    await this.#ended
    this.#failure = undefined
  }

  gate(call: Call): Promise<'heard' | 'lost'> {
    return new Promise((go, refuse) => {
      const { signal } = this.#abort
      if (signal.aborted) {
        refuse(signal.reason)
        return
      }
      this.#waiting = { call, go, refuse }
      this.#wake()
    })
  }

  async #stopped(): Promise<void> {
    while (this.#running && this.#waiting === undefined)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
  }
}

/** Objects in memory. The same content has the same etag, as where an etag is a digest. */
class GatedObjects implements ObjectStore {
  readonly capabilities = { createOnly: true, compareAndSwap: true, rangeReads: true }
  readonly #objects: Objects
  readonly #pointer: string
  readonly #gate: (call: Call) => Promise<'heard' | 'lost'>

  constructor(objects: Objects, pointer: string, gate: (call: Call) => Promise<'heard' | 'lost'>) {
    this.#objects = objects
    this.#pointer = pointer
    this.#gate = gate
  }

  async get(name: string, { range }: ObjectGetOptions = {}): Promise<StoredObject | undefined> {
    await this.#pass(name, 'pointer read')
    const bytes = this.#objects.get(name)
    if (bytes === undefined) return undefined
    const { start, length } = range ?? { start: 0, length: bytes.length }
    const piece = bytes.slice(start, start + length)
    return { body: onePiece(piece), size: bytes.length, etag: etagOf(bytes) }
  }

  async put(
    name: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    { condition }: ObjectPutOptions = {},
  ): Promise<{ readonly etag: string } | 'conflict'> {
    const answer = await this.#pass(name, 'pointer moved')
    const pieces: Uint8Array[] = []
    if (body instanceof Uint8Array) pieces.push(body)
    else for await (const piece of body) pieces.push(piece.slice())
    const bytes = new Uint8Array(Buffer.concat(pieces))
    const there = this.#objects.get(name)
    const holds =
      condition === undefined ||
      (condition === 'absent' ? there === undefined : there !== undefined && etagOf(there) === condition.etag)
    if (holds) this.#objects.set(name, bytes)
    if (answer === 'lost') throw new KvError('OutcomeUnknown', 'the answer is lost')
    return holds ? { etag: etagOf(bytes) } : 'conflict'
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    for (const [name, { length }] of this.#objects)
      if (name.startsWith(prefix)) yield { name, size: length, modifiedMs: 0 }
  }

  async delete(name: string): Promise<void> {
    this.#objects.delete(name)
  }

  async #pass(name: string, ofPointer: Call): Promise<'heard' | 'lost'> {
    if (name.includes('.slip-probe-')) return 'heard'
    return this.#gate(name === this.#pointer ? ofPointer : 'payload')
  }
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

function etagOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

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

export type Call =
  | 'pointer read'
  | 'pointer moved'
  | 'source asked'
  | 'payload'
  | 'list read'
  | 'list put'
  | 'part looked for'
  | 'part sent'
  | 'part read'
  | 'part deleted'

/** `lost`: it is done, and nobody hears of it. `absent`: what is read is not there for this one. */
export type Answer = 'heard' | 'lost' | 'absent'

/** One call of a store. */
export interface Asked {
  readonly does: 'get' | 'put' | 'delete'
  readonly name: string
  /** Of a read. */
  readonly length: number | undefined
}

/** What a call is in a model; undefined for one that is never held back. */
export type CallOf = (asked: Asked) => Call | undefined

interface Waiting {
  readonly call: Call
  /** The object; of the source's answer none. */
  readonly name: string | undefined
  readonly go: (answer: Answer) => void
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

  /** Without a `callOf` payloads are whole. */
  constructor(objects: Objects, pointer: string, callOf: CallOf = wholePayloads(pointer)) {
    this.store = new GatedObjects(objects, callOf, (call, name) => this.gate(call, name))
  }

  /** What it waits for; undefined while it does nothing. */
  get call(): Call | undefined {
    return this.#waiting?.call
  }

  /** The object that it waits for. */
  get waitsFor(): string | undefined {
    return this.#waiting?.name
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
  async pass(call: Call, answer: Answer = 'heard'): Promise<void> {
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

  gate(call: Call, name?: string): Promise<Answer> {
    return new Promise((go, refuse) => {
      const { signal } = this.#abort
      if (signal.aborted) {
        refuse(signal.reason)
        return
      }
      this.#waiting = { call, name, go, refuse }
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
  readonly #callOf: CallOf
  readonly #gate: (call: Call, name: string) => Promise<Answer>

  constructor(objects: Objects, callOf: CallOf, gate: (call: Call, name: string) => Promise<Answer>) {
    this.#objects = objects
    this.#callOf = callOf
    this.#gate = gate
  }

  async get(name: string, { range }: ObjectGetOptions = {}): Promise<StoredObject | undefined> {
    const answer = await this.#pass({ does: 'get', name, length: range?.length })
    const bytes = this.#objects.get(name)
    if (bytes === undefined || answer === 'absent') return undefined
    const { start, length } = range ?? { start: 0, length: bytes.length }
    const piece = bytes.slice(start, start + length)
    return { body: onePiece(piece), size: bytes.length, etag: etagOf(bytes) }
  }

  async put(
    name: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    { condition }: ObjectPutOptions = {},
  ): Promise<{ readonly etag: string } | 'conflict'> {
    const answer = await this.#pass({ does: 'put', name, length: undefined })
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
    await this.#pass({ does: 'delete', name, length: undefined })
    this.#objects.delete(name)
  }

  async #pass(asked: Asked): Promise<Answer> {
    const call = asked.name.includes('.slip-probe-') ? undefined : this.#callOf(asked)
    return call === undefined ? 'heard' : this.#gate(call, asked.name)
  }
}

function wholePayloads(pointer: string): CallOf {
  return ({ does, name }) => {
    if (does === 'delete') return undefined
    if (name !== pointer) return 'payload'
    return does === 'get' ? 'pointer read' : 'pointer moved'
  }
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

function etagOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

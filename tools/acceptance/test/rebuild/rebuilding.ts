import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { KvError } from '@slip/kv-core'
import type { NatsStore } from '@slip/nats'

/** Where there are fewer keys, their names and values are longer: whoever holds all of them shows. */
const MANY_KEYS = 1_000_000
/** Keys come in an order that is not their own, at any count: each is this share of all behind the one before it. */
const STRIDE = 0.618

export type Store = 'append log' | 'LMDB'

/** What a reader saw while its fold was built anew. */
export interface Seen {
  /** Neither the old fold nor the new one. */
  readonly mixed: number
  /** The old one again, after the new one. */
  readonly back: number
  /** The old one, while the new one was built. */
  readonly duringRebuild: number
}

/** What the rebuild of a follower in a process of its own took, which had found the fold made. Bytes are resident, anonymous ones only for LMDB. */
export interface Rebuilt {
  /** Without a fold, with it, at most while it was built anew, and at the end. */
  readonly base: number
  readonly before: number
  readonly peak: number
  readonly after: number
  readonly entries: number
  readonly states: readonly { readonly state: string; readonly reason?: string }[]
  readonly seen: Seen & { readonly longestTurnMs: number }
  readonly filled: Filled
  readonly rebuiltMs: number
}

/** What it took to make the fold in the first place, by the same follower in a process of its own. */
export interface Filled {
  readonly hydratedMs: number
  /** The most anonymous memory of that process. */
  readonly peak: number
}

type Message =
  | { readonly ready: number }
  | { readonly rebuilding: string }
  | { readonly done: Omit<Rebuilt, 'filled'> }

/** What the bucket holds. */
export class Content {
  readonly keys: number
  readonly value: Uint8Array
  /** Leaves the bucket without a word. */
  readonly leaving: string
  /** Changes while the fold is built anew for that. */
  readonly changing: string
  readonly #ending: string

  constructor(keys: number) {
    this.keys = keys
    this.value = Buffer.alloc(keys < MANY_KEYS ? 1_000 : 200, 'v')
    this.#ending = keys < MANY_KEYS ? `.${'of-a-long-name.'.repeat(28)}` : ''
    this.leaving = this.keyOf(7)
    this.changing = this.keyOf(11)
  }

  keyOf(number: number): string {
    return `route.${number}${this.#ending}x`
  }
}

export async function fill(bucket: NatsStore, content: Content): Promise<void> {
  const { keys, value } = content
  let stride = Math.round(keys * STRIDE)
  while (commonDivisor(stride, keys) > 1) stride++
  function* puts(): Generator<{ operation: 'put'; key: string; value: Uint8Array }> {
    for (let i = 0; i < keys; i++) yield { operation: 'put', key: content.keyOf((i * stride) % keys), value }
  }
  for await (const outcome of bucket.writer.bulk(puts())) if ('error' in outcome) throw outcome.error
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b)
}

/** The bucket with its two keys as before. */
export async function reset(bucket: NatsStore, { leaving, changing, value }: Content): Promise<void> {
  for (const key of [leaving, changing]) await bucket.writer.put(key, value)
}

/** Where a bucket is, what it holds, and where its fold is. */
export interface Place {
  readonly bucket: NatsStore
  readonly content: Content
  readonly servers: string
  readonly path: string
}

/**
 * Follows the bucket in another process, from a fold that is made already, takes a key out of it by `vanish`,
 * and waits for the end of the rebuild. `ready` is called before, with the follower's process.
 */
export async function rebuild(
  from: Place,
  store: Store,
  how: {
    /** Options of the follower's process. */
    readonly node?: readonly string[]
    readonly vanish: () => Promise<unknown>
    readonly ready?: (follower: ChildProcess) => Promise<void>
    readonly rebuilding?: () => void
  },
): Promise<Rebuilt> {
  const { bucket, content, servers, path } = from
  const { leaving, changing } = content
  const filled = await make(from, store)
  const program = fileURLToPath(new URL('follower.mjs', import.meta.url))
  const child = fork(program, [store, bucket.name, servers, path, leaving, changing], {
    execArgv: ['--expose-gc', ...(how.node ?? [])],
  })
  let rebuilt: Omit<Rebuilt, 'filled'> | undefined
  let failure: unknown
  const doing = async (message: Message): Promise<void> => {
    if ('done' in message) rebuilt = message.done
    else if ('ready' in message) {
      await how.ready?.(child)
      await how.vanish()
    } else {
      how.rebuilding?.()
      await change(bucket, changing)
    }
  }
  child.on('message', (message: Message) => {
    doing(message).catch((error: unknown) => {
      failure = error
      child.kill('SIGKILL')
    })
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (failure !== undefined) throw failure
  if (code !== 0 || rebuilt === undefined) throw new Error(`the follower ended with ${code}`)
  return { ...rebuilt, filled }
}

async function make({ bucket, servers, path }: Place, store: Store): Promise<Filled> {
  const program = fileURLToPath(new URL('filler.mjs', import.meta.url))
  const child = fork(program, [store, bucket.name, servers, path])
  const anonymous = new AnonymousPeak(child.pid!)
  let made: { readonly hydratedMs: number } | undefined
  child.on('message', (message) => (made = message as typeof made))
  const [code] = (await once(child, 'exit')) as [number | null]
  const peak = anonymous.stop()
  if (made === undefined) throw new Error(`what makes the fold ended with ${code}`)
  return { ...made, peak }
}

/** A server that lists millions of keys for a consumer acknowledges nothing meanwhile. */
async function change(bucket: NatsStore, changing: string): Promise<void> {
  for (;;)
    try {
      await bucket.writer.put(changing, Buffer.from('changed'))
      return
    } catch (error) {
      if (!KvError.is(error) || error.code !== 'OutcomeUnknown') throw error
    }
}

/** Reads a fold in LMDB in another process, until it has been swapped for a second. */
export class ReaderElsewhere {
  readonly #child: ChildProcess
  readonly #seen: Promise<Seen>

  private constructor(child: ChildProcess) {
    this.#child = child
    let seen: Seen | undefined
    child.on('message', (message: { readonly seen?: Seen }) => (seen = message.seen))
    this.#seen = once(child, 'exit').then(([code]) => {
      if (seen === undefined) throw new Error(`the reader ended with ${code}`)
      return seen
    })
    this.#seen.catch(() => undefined)
  }

  static async start(path: string, { leaving, changing, keys }: Content): Promise<ReaderElsewhere> {
    const program = fileURLToPath(new URL('reader.mjs', import.meta.url))
    const child = fork(program, [path, leaving, changing, String(keys)])
    const reader = new ReaderElsewhere(child)
    await Promise.race([once(child, 'message'), reader.#seen])
    return reader
  }

  /** From here on the fold is built anew. */
  rebuilding(): void {
    this.#child.send('rebuilding')
  }

  async seen(): Promise<Seen> {
    return await this.#seen
  }
}

/** The most anonymous memory another process has. */
export class AnonymousPeak {
  readonly #timer: NodeJS.Timeout
  #bytes = 0

  constructor(pid: number) {
    const look = (): void => {
      this.#bytes = Math.max(this.#bytes, anonymousBytes(pid))
    }
    look()
    this.#timer = setInterval(look, 5)
  }

  /** In bytes, until now. */
  stop(): number {
    clearInterval(this.#timer)
    return this.#bytes
  }
}

function anonymousBytes(pid: number): number {
  try {
    const kilobytes = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return Number(kilobytes?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

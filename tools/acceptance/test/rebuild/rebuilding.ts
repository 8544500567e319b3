import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { KvError } from '@slip/kv-core'
import type { NatsStore } from '@slip/nats'

/** A key that leaves the bucket without a word, and one that changes while the fold is built anew for it. */
export const LEAVING = 'route.7'
export const CHANGING = 'route.11'
const OLD_VALUE = Buffer.alloc(200, 'v')
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
  readonly hydratedMs: number
  readonly rebuiltMs: number
}

type Message =
  | { readonly ready: number }
  | { readonly rebuilding: string }
  | { readonly done: Omit<Rebuilt, 'hydratedMs'> }

/** Puts `keys` keys of 200 bytes. */
export async function fill(bucket: NatsStore, keys: number): Promise<void> {
  let stride = Math.round(keys * STRIDE)
  while (commonDivisor(stride, keys) > 1) stride++
  function* puts(): Generator<{ operation: 'put'; key: string; value: Uint8Array }> {
    for (let i = 0; i < keys; i++)
      yield { operation: 'put', key: `route.${(i * stride) % keys}`, value: OLD_VALUE }
  }
  for await (const outcome of bucket.writer.bulk(puts())) if ('error' in outcome) throw outcome.error
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b)
}

/** The bucket with its two keys as before. */
export async function reset(bucket: NatsStore): Promise<void> {
  for (const key of [LEAVING, CHANGING]) await bucket.writer.put(key, OLD_VALUE)
}

/**
 * Follows the bucket in another process, from a fold that is made already, takes a key out of it by `vanish`, and waits for the end of the
 * rebuild. `ready` is called before: the follower's process, and where the fold is.
 */
export async function rebuild(
  from: { readonly bucket: NatsStore; readonly servers: string; readonly path: string },
  store: Store,
  how: {
    readonly vanish: () => Promise<unknown>
    readonly ready?: (follower: ChildProcess) => Promise<void>
    readonly rebuilding?: () => void
  },
): Promise<Rebuilt> {
  const { bucket, servers, path } = from
  const hydratedMs = await make(from, store)
  const program = fileURLToPath(new URL('follower.mjs', import.meta.url))
  const child = fork(program, [store, bucket.name, servers, path, LEAVING, CHANGING], {
    execArgv: ['--expose-gc'],
  })
  let rebuilt: Omit<Rebuilt, 'hydratedMs'> | undefined
  let failure: unknown
  const doing = async (message: Message): Promise<void> => {
    if ('done' in message) rebuilt = message.done
    else if ('ready' in message) {
      await how.ready?.(child)
      await how.vanish()
    } else {
      how.rebuilding?.()
      await change(bucket)
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
  return { ...rebuilt, hydratedMs }
}

/** Makes the fold, and says how long it took to catch up. */
async function make(
  { bucket, servers, path }: { readonly bucket: NatsStore; readonly servers: string; readonly path: string },
  store: Store,
): Promise<number> {
  const child = fork(fileURLToPath(new URL('filler.mjs', import.meta.url)), [
    store,
    bucket.name,
    servers,
    path,
  ])
  let made: { readonly hydratedMs: number } | undefined
  child.on('message', (message) => (made = message as typeof made))
  const [code] = (await once(child, 'exit')) as [number | null]
  if (made === undefined) throw new Error(`what makes the fold ended with ${code}`)
  return made.hydratedMs
}

/** A server that lists millions of keys for a consumer acknowledges nothing meanwhile. */
async function change(bucket: NatsStore): Promise<void> {
  for (;;)
    try {
      await bucket.writer.put(CHANGING, Buffer.from('changed'))
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

  static async start(path: string, keys: number): Promise<ReaderElsewhere> {
    const program = fileURLToPath(new URL('reader.mjs', import.meta.url))
    const child = fork(program, [path, LEAVING, CHANGING, String(keys)])
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

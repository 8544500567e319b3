import { setMaxListeners } from 'node:events'
import { KvError, type KvErrorCode } from '@slip/kv-core'
import type { Random } from '../world/random.ts'
import type { SimProcess } from '../world/sim-process.ts'
import type { World } from '../world/world.ts'
import { HEALTHY_WIRE, type WireFaults } from './wire-faults.ts'

const CODES: readonly KvErrorCode[] = ['Unreachable', 'Timeout', 'Unauthorized', 'PermissionDenied', 'Closed']
/** To these a refused permission is an answer: the bucket's history may not be looked into, and the status says so. */
const LOOKS_INTO_HISTORY: ReadonlySet<string> = new Set(['at', 'newest', 'firstAfter'])

/** One call of a process to the server. */
export interface RemoteCall<T> {
  readonly what: string
  readonly signal?: AbortSignal | undefined
  /** When the caller's own client gives up; without it a call that hangs is never over. */
  readonly timeoutMs?: number | undefined
  /** What the server does; in its own process. */
  readonly serve: () => Promise<T>
  /** Runs in the caller's process just before it gets the answer. */
  readonly answered?: (result: T) => void
}

/** The network between processes and the bucket's server. Every message takes time and may not arrive. */
export class Wire {
  faults: WireFaults = HEALTHY_WIRE
  /** Nothing gets through, in either direction, and nobody is told. */
  cut = false
  /** Counts the starts of the server. */
  serverStarts: number = 0
  /** Every call is refused at once. */
  down = false
  /** So many batches of a session come before they are asked for, and wait with the client. */
  readonly ahead: number
  readonly world: World
  readonly random: Random

  constructor(world: World) {
    this.world = world
    this.random = world.random('wire')
    this.ahead = world.random('ahead').pick([0, 0, 1, 4])
  }

  call<T>(client: SimProcess, { what, signal, timeoutMs, serve, answered }: RemoteCall<T>): Promise<T> {
    const { scheduler, server } = this.world
    return new Promise((resolve, reject) => {
      let over = false
      const settle = (how: () => void): void => {
        if (over) return
        over = true
        if (deadline !== undefined) scheduler.cancel(deadline)
        signal?.removeEventListener('abort', onAbort)
        how()
      }
      const onAbort = (): void => {
        if (!this.chance('deaf')) settle(() => reject(signal!.reason as Error))
      }
      const answer = (how: () => void): void => {
        if (this.cut) return
        scheduler.post(client, 'completion', `answer ${what}`, this.#latencyMs(), () => settle(how))
      }
      if (signal?.aborted === true) {
        reject(signal.reason as Error)
        return
      }
      // Calls that are never answered wait for ever, each with its listener.
      if (signal !== undefined) setMaxListeners(0, signal)
      signal?.addEventListener('abort', onAbort)
      const deadline =
        timeoutMs === undefined
          ? undefined
          : scheduler.post(client, 'completion', `timeout ${what}`, timeoutMs, () =>
              settle(() => reject(new KvError('Timeout', `${what} was not answered`))),
            )
      if (this.down || this.chance('refuses')) {
        const error = this.failure(LOOKS_INTO_HISTORY.has(what) ? ['Unreachable', 'Timeout'] : CODES)
        answer(() => reject(error))
        return
      }
      if (this.cut || this.chance('hangs')) return
      scheduler.post(server, 'completion', `serve ${what}`, this.#latencyMs(), () => {
        serve().then(
          (result) =>
            answer(() => {
              answered?.(result)
              resolve(result)
            }),
          (error: unknown) => answer(() => reject(error)),
        )
      })
    })
  }

  /** Does something at the server without an answer: what happens there when a connection breaks. */
  tell(what: string, work: () => void): void {
    this.world.scheduler.post(this.world.server, 'completion', what, this.#latencyMs(), work)
  }

  chance(fault: Exclude<keyof WireFaults, 'latencyMs'>): boolean {
    return this.random.chance(this.faults[fault])
  }

  failure(codes: readonly KvErrorCode[] = CODES): Error {
    if (this.chance('untyped')) return new Error('socket hang up')
    return new KvError(this.random.pick(codes), 'the wire refused')
  }

  #latencyMs(): number {
    return this.random.around(this.faults.latencyMs) * (this.chance('late') ? 1000 : 1)
  }
}

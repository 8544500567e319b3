import { setTimeout as wait } from 'node:timers/promises'
import type { NatsServer, Proxy } from '@slip/nats-server'
import type { FollowedFold } from './followed-fold.ts'
import { untilStatus } from './status-wait.ts'

/** Silence for so long makes these followers `stale`. */
export const STALE_AFTER_MS = 1_500
const STALE_WITHIN_MS = STALE_AFTER_MS + 700
const AWAY_MS = 3_000

export type NetworkFaultId =
  | 'cut'
  | 'refused'
  | 'partition'
  | 'deaf'
  | 'mute'
  | 'slow'
  | 'killed'
  | 'stopped'
  | 'frozen'

/** Between a follower and its server, or the server itself. */
export interface Network {
  readonly server: NatsServer
  readonly proxy: Proxy
  /** Meanwhile the bucket changes: some of it is told to followers, some is not. */
  readonly change: () => Promise<void>
  /** After the server was started anew. */
  readonly reconnect: () => Promise<void>
}

export interface NetworkFault {
  readonly title: string
  /** Resolves when it is over, the bucket changed, and a live follower showed in its status what it had to. */
  strike(network: Network, live: FollowedFold | undefined): Promise<void>
}

export const NETWORK_FAULTS: Readonly<Record<NetworkFaultId, NetworkFault>> = {
  cut: {
    title: 'the connection reset, at once open again',
    async strike({ proxy, change }, live) {
      proxy.cut()
      if (live !== undefined) await connecting(live)
      await change()
    },
  },
  refused: {
    title: 'nobody listens for a while',
    async strike({ proxy, change }, live) {
      proxy.refuse()
      if (live !== undefined) await connecting(live)
      await change()
      await wait(AWAY_MS)
      proxy.release()
    },
  },
  partition: {
    title: 'nothing passes, nothing is closed',
    async strike({ proxy, change }, live) {
      proxy.hold()
      await change()
      await staleFor(AWAY_MS, live)
      proxy.release()
    },
  },
  deaf: {
    title: 'nothing passes from the server',
    async strike({ proxy, change }, live) {
      proxy.hold('toClient')
      await change()
      await staleFor(AWAY_MS, live)
      proxy.release()
    },
  },
  mute: {
    title: 'nothing passes to the server, which goes on sending',
    async strike({ proxy, change }, live) {
      // What was described before may be claimed after.
      if (live !== undefined)
        await untilStatus(
          live,
          'verified where it stands',
          ({ verifiedThrough, appliedCursor }) =>
            verifiedThrough !== undefined && verifiedThrough === appliedCursor.revision,
          10_000,
        )
      const before = live?.status.verifiedThrough
      proxy.hold('toServer')
      await change()
      await wait(AWAY_MS)
      if (live !== undefined && live.status.verifiedThrough !== before)
        throw new Error(`verified through ${live.status.verifiedThrough} without an answer of the server`)
      proxy.release()
    },
  },
  slow: {
    title: 'everything late, nothing lost',
    async strike({ proxy, change }, live) {
      proxy.slow(200)
      await change()
      if (live !== undefined)
        await untilStatus(live, 'live beside a slow server', ({ state }) => state === 'live', 10_000)
      proxy.slow(0)
    },
  },
  killed: {
    title: 'the server killed and started again',
    async strike(network, live) {
      await away(network, 'SIGKILL', live)
    },
  },
  stopped: {
    title: 'the server stopped and started again',
    async strike(network, live) {
      await away(network, 'SIGTERM', live)
    },
  },
  frozen: {
    title: 'the server stands still',
    async strike({ server, change }, live) {
      await change()
      server.freeze()
      await staleFor(AWAY_MS, live)
      server.thaw()
    },
  },
}

async function away(
  { server, proxy, change, reconnect }: Network,
  signal: NodeJS.Signals,
  live: FollowedFold | undefined,
): Promise<void> {
  proxy.refuse()
  await server.kill(signal)
  if (live !== undefined) await connecting(live)
  await server.restart()
  await reconnect()
  await change()
  proxy.release()
}

async function connecting(live: FollowedFold): Promise<void> {
  await untilStatus(live, 'connecting', ({ state }) => state === 'connecting', 2_000)
}

async function staleFor(forMs: number, live: FollowedFold | undefined): Promise<void> {
  const from = performance.now()
  if (live !== undefined) await untilStatus(live, 'stale', ({ state }) => state === 'stale', STALE_WITHIN_MS)
  await wait(from + forMs - performance.now())
}

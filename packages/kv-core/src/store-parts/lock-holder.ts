import { readFile, readlink } from 'node:fs/promises'
import { hostname } from 'node:os'

/** Who holds a fold, as written into the lock file beside it. */
export interface LockHolder {
  readonly pid: number
  readonly host: string
  /** Different in every lock ever taken. */
  readonly nonce: string
  /** Linux only, as are the rest: which boot of which kernel. */
  readonly bootId?: string
  /** When the process started, in clock ticks since boot: tells a reused process id. */
  readonly startTime?: string
  readonly pidNamespace?: string
  readonly networkNamespace?: string
}

/** This process, as a holder. */
export async function describeSelf(nonce: string): Promise<LockHolder> {
  const self = { pid: process.pid, host: hostname(), nonce }
  if (process.platform !== 'linux') return self
  const [bootId, startTime, pidNamespace, networkNamespace] = await Promise.all([
    attempt(async () => (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()),
    startTimeOf(process.pid),
    attempt(async () => readlink('/proc/self/ns/pid')),
    attempt(async () => readlink('/proc/self/ns/net')),
  ])
  return {
    ...self,
    ...(bootId === undefined ? {} : { bootId }),
    ...(startTime === undefined ? {} : { startTime }),
    ...(pidNamespace === undefined ? {} : { pidNamespace }),
    ...(networkNamespace === undefined ? {} : { networkNamespace }),
  }
}

/** Reads a lock file's content; undefined when it is none. */
export function parseHolder(bytes: Uint8Array): LockHolder | undefined {
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as Partial<LockHolder>
    return typeof value.pid === 'number' && typeof value.host === 'string' && typeof value.nonce === 'string'
      ? (value as LockHolder)
      : undefined
  } catch {
    return undefined
  }
}

/** When process `pid` started, from /proc; undefined when there is none, or on another system. */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  return attempt(async () => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The command name is in parentheses and may hold anything; field 22 is the 20th after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  })
}

export type Life = 'alive' | 'dead' | 'unknown'

/**
 * Whether the holder of a lock file still lives, judged by an opener that already has the socket
 * lock of its own network namespace. `startTime` is what /proc says about the holder's process id,
 * `signalled` whether a process with that id exists.
 */
export function judgeHolder(
  holder: LockHolder,
  self: LockHolder,
  seen: { readonly startTime: string | undefined; readonly signalled: boolean },
  socketLock: boolean,
): Life {
  if (holder.bootId !== undefined && self.bootId !== undefined) {
    if (holder.bootId !== self.bootId) return holder.host === self.host ? 'dead' : 'unknown'
    if (
      socketLock &&
      holder.networkNamespace !== undefined &&
      holder.networkNamespace === self.networkNamespace
    )
      return 'dead'
    if (holder.pidNamespace === undefined || holder.pidNamespace !== self.pidNamespace) return 'unknown'
    return seen.startTime !== undefined && seen.startTime === holder.startTime ? 'alive' : 'dead'
  }
  if (holder.host !== self.host) return 'unknown'
  if (holder.pid === self.pid) return socketLock ? 'dead' : 'alive'
  return seen.signalled ? (socketLock ? 'dead' : 'alive') : 'dead'
}

async function attempt(work: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await work()
  } catch {
    return undefined
  }
}

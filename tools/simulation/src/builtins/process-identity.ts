import os from 'node:os'
import { activeWorld } from '../world/active-world.ts'

/** Makes this process appear as the current one of the active world: its id, its host, who else lives. */
export function installProcessIdentity(): void {
  const { pid } = process
  const kill = process.kill.bind(process)
  const { hostname } = os
  Object.defineProperty(process, 'pid', {
    get: () => activeWorld()?.scheduler.current.pid ?? pid,
    configurable: true,
  })
  process.kill = (target, signal) => {
    const world = activeWorld()
    if (world === undefined) return kill(target, signal)
    const { host, namespace } = world.scheduler.current
    const found = host.processes.get(target)
    if (signal === 0 && found !== undefined && found.namespace === namespace) return true
    throw Object.assign(new Error('kill ESRCH'), { code: 'ESRCH' })
  }
  os.hostname = () => (activeWorld() === undefined ? hostname() : 'machine')
}

/** What `/proc` says to the current process; undefined for what is not there. */
export function readProc(path: string): string | undefined {
  const world = activeWorld()!
  const self = world.scheduler.current
  if (path === '/proc/sys/kernel/random/boot_id') return `${self.host.bootId}\n`
  if (path === '/proc/self/ns/pid') return `pid:[${self.namespace}]`
  if (path === '/proc/self/ns/net') return `net:[${self.namespace}]`
  const pid = Number(/^\/proc\/(\d+)\/stat$/.exec(path)?.[1])
  const found = self.host.processes.get(pid)
  if (found === undefined || found.namespace !== self.namespace) return undefined
  // Field 22 is when it started; no two processes of a world have the same id.
  return `${pid} (node) S ${'0 '.repeat(18)}${pid} 0\n`
}

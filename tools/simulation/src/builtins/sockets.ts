import { EventEmitter } from 'node:events'
import net from 'node:net'
import { activeWorld } from '../world/active-world.ts'
import type { World } from '../world/world.ts'

/** A server on an abstract socket: one listener a name, in one network namespace, until its process dies. */
class SimServer extends EventEmitter {
  readonly #world: World
  #name: string | undefined

  constructor(world: World) {
    super()
    this.#world = world
  }

  listen({ path }: { readonly path: string }, listening: () => void): this {
    const { scheduler } = this.#world
    const owner = scheduler.current
    const name = `${owner.namespace}:${path}`
    scheduler.post(owner, 'completion', 'socket listen', 0, () => {
      if (owner.host.sockets.has(name) && owner.host.namesAreTaken) {
        this.emit('error', Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE' }))
        return
      }
      owner.host.sockets.set(name, owner)
      this.#name = name
      listening()
    })
    return this
  }

  unref(): this {
    return this
  }

  close(closed?: () => void): this {
    const { scheduler } = this.#world
    const owner = scheduler.current
    if (this.#name !== undefined) owner.host.sockets.delete(this.#name)
    this.#name = undefined
    scheduler.post(owner, 'completion', 'socket close', 0, () => closed?.())
    return this
  }
}

/** Makes the servers that are created those of the active world. */
export function installSockets(): void {
  const { createServer } = net
  Object.assign(net, {
    createServer: (...args: Parameters<typeof createServer>): unknown => {
      const world = activeWorld()
      return world === undefined ? createServer(...args) : new SimServer(world)
    },
  })
}

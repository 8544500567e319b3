import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { ProxyPipe } from './proxy-pipe.ts'

export type Direction = 'toServer' | 'toClient'

const BOTH: readonly Direction[] = ['toServer', 'toClient']

interface Link {
  readonly client: Socket
  readonly target: Socket
  readonly pipes: Readonly<Record<Direction, ProxyPipe>>
}

/** A TCP proxy on loopback that can hold, slow, cut or refuse what passes. */
export class Proxy implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #links = new Set<Link>()
  readonly #held = new Set<Direction>()
  readonly #delaysMs: Record<Direction, number> = { toServer: 0, toClient: 0 }
  #refusing = false

  private constructor(server: Server, targetPort: number) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (client) => {
      if (this.#refusing) client.resetAndDestroy()
      else this.#join(client, connect(targetPort, '127.0.0.1'))
    })
  }

  static async start(targetPort: number): Promise<Proxy> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Proxy(server, targetPort)
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** Lets nothing pass in these directions (both when none is named), without closing: a partition nobody notices. */
  hold(...directions: readonly Direction[]): void {
    for (const direction of named(directions)) this.#held.add(direction)
    this.#apply()
  }

  /** Ends what `hold` and `refuse` began; what was held passes in order. */
  release(): void {
    this.#held.clear()
    this.#refusing = false
    this.#apply()
  }

  /** From here on every chunk in these directions (both when none is named) passes so much later; order is kept. */
  slow(delayMs: number, ...directions: readonly Direction[]): void {
    for (const direction of named(directions)) this.#delaysMs[direction] = delayMs
    this.#apply()
  }

  /** Resets every connection; new ones are welcome. */
  cut(): void {
    for (const { client, target } of this.#links) {
      client.resetAndDestroy()
      target.resetAndDestroy()
    }
  }

  /** Resets every connection and each new one until `release`. */
  refuse(): void {
    this.#refusing = true
    this.cut()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #join(client: Socket, target: Socket): void {
    const pipes = { toServer: new ProxyPipe(client, target), toClient: new ProxyPipe(target, client) }
    const link = { client, target, pipes }
    this.#links.add(link)
    for (const socket of [client, target]) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        if (client.destroyed && target.destroyed) this.#links.delete(link)
      })
    }
    this.#apply()
  }

  #apply(): void {
    for (const { pipes } of this.#links)
      for (const direction of BOTH)
        pipes[direction].set({ held: this.#held.has(direction), delayMs: this.#delaysMs[direction] })
  }
}

/** A proxy in front of a server of this machine. */
export async function startProxy(options: { readonly target: { readonly port: number } }): Promise<Proxy> {
  return await Proxy.start(options.target.port)
}

function named(directions: readonly Direction[]): readonly Direction[] {
  return directions.length === 0 ? BOTH : directions
}

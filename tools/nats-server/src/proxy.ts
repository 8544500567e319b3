import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export type Direction = 'toServer' | 'toClient'

/** A TCP proxy on loopback that can hold, slow or cut what passes. */
export class Proxy implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  readonly #held = new Set<Direction>()
  #delayMs = 0

  private constructor(server: Server, targetPort: number) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (client) => this.#join(client, connect(targetPort, '127.0.0.1')))
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

  /** Lets nothing pass one way, without closing: a one-way partition. */
  hold(...directions: readonly Direction[]): void {
    for (const direction of directions) this.#held.add(direction)
    this.#apply()
  }

  release(): void {
    this.#held.clear()
    this.#apply()
  }

  /** Every chunk is so much later, both ways. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs
  }

  /** Resets every connection. */
  cut(): void {
    for (const [client, target] of this.#pairs) {
      client.resetAndDestroy()
      target.resetAndDestroy()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #join(client: Socket, target: Socket): void {
    const pair = [client, target] as const
    this.#pairs.add(pair)
    this.#pump(client, target)
    this.#pump(target, client)
    const end = (): void => {
      this.#pairs.delete(pair)
      client.destroy()
      target.destroy()
    }
    for (const socket of pair) socket.on('error', end).on('close', end)
    this.#apply()
  }

  #pump(from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (this.#delayMs === 0) to.write(chunk)
      else setTimeout(() => to.writable && to.write(chunk), this.#delayMs)
    })
  }

  #apply(): void {
    for (const [client, target] of this.#pairs) {
      if (this.#held.has('toServer')) client.pause()
      else client.resume()
      if (this.#held.has('toClient')) target.pause()
      else target.resume()
    }
  }
}

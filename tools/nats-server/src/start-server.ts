import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { findServer } from './find-server.ts'
import { freePorts } from './free-port.ts'
import { serverConfig, type ServerConfigOptions } from './server-config.ts'
import { PortTakenError, ServerProcess } from './server-process.ts'

const PORT_ATTEMPTS = 5
const RELOAD_WITHIN_MS = 10_000

export interface ServerOptions extends ServerConfigOptions {
  /** A line (`2.12`) or an exact release; any from 2.10 on when absent. */
  readonly version?: string
  /** Kept when given; else one of its own that goes with the server. */
  readonly storeDirectory?: string
  /** A free one when absent; it stays the server's over `kill` and `restart`. */
  readonly port?: number | 'free'
}

/** A nats-server on loopback. Its port and its data stay over `kill` and `restart`. */
export class NatsServer implements AsyncDisposable {
  readonly storeDirectory: string
  readonly #options: ServerOptions
  readonly #scratch: string
  #port = 0
  #version = ''
  #binary = ''
  #process: ServerProcess | undefined

  private constructor(options: ServerOptions, scratch: string) {
    this.#options = options
    this.#scratch = scratch
    this.storeDirectory = options.storeDirectory ?? join(scratch, 'store')
  }

  /** NoServerError when there is none of that version and none can be had. */
  static async start(options: ServerOptions = {}): Promise<NatsServer> {
    const found = await findServer(options.version)
    const server = new NatsServer(options, await mkdtemp(join(tmpdir(), 'slip-nats-')))
    server.#use(found)
    try {
      await server.#startOnPort()
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
    return server
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`
  }

  get version(): string {
    return this.#version
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** What the server wrote to its log since it was last started. */
  get log(): string {
    return this.#process?.log ?? ''
  }

  /** Replaces the configuration file; it counts from the next `restart` or `reload` on. */
  async configure(text: string): Promise<void> {
    await writeFile(this.#configPath, text)
  }

  /** Makes the server read its configuration again; it says in its log what it makes of it. */
  reload(): void {
    this.#process?.signal('SIGHUP')
  }

  /** Replaces the configuration under a running server; resolves when it counts, rejects when the server refuses it. */
  async reconfigure(text: string): Promise<void> {
    await this.configure(text)
    const before = this.log.length
    this.reload()
    const until = performance.now() + RELOAD_WITHIN_MS
    for (;;) {
      const said = this.log.slice(before)
      if (said.includes('Reloaded server configuration')) return
      if (/Failed to reload/i.test(said) || performance.now() > until)
        throw new Error(`nats-server did not take its configuration:\n${said}`)
      await wait(10)
    }
  }

  /** SIGSTOP: connections stay open and, from the moment this returns, nothing answers. */
  freeze(): void {
    this.#process?.freeze()
  }

  thaw(): void {
    this.#process?.signal('SIGCONT')
  }

  /** Resolves when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (signal !== 'SIGKILL') this.thaw()
    await this.#process?.end(signal)
    this.#process = undefined
  }

  /** Starts the server again on its port and data, as another version when asked; kills it first when it runs. */
  async restart(options: { readonly version?: string } = {}): Promise<void> {
    if (options.version !== undefined) this.#use(await findServer(options.version))
    await this.kill()
    this.#process = await ServerProcess.start(this.#binary, ['-c', this.#configPath], this.#port)
  }

  /** Ends it properly and removes what it made. */
  async stop(): Promise<void> {
    await this.kill('SIGTERM')
    await rm(this.#scratch, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await rm(this.#scratch, { recursive: true, force: true })
  }

  get #configPath(): string {
    return join(this.#scratch, 'server.conf')
  }

  #use(found: { readonly binary: string; readonly version: string }): void {
    this.#binary = found.binary
    this.#version = found.version
  }

  // Between finding a free port and listening on it another process may take it.
  async #startOnPort(): Promise<void> {
    const given = this.#options.port ?? 'free'
    for (let attempt = 1; ; attempt++) {
      this.#port = given === 'free' ? (await freePorts(1))[0]! : given
      await this.configure(serverConfig(this.#options, this.#port, this.storeDirectory))
      try {
        return await this.restart()
      } catch (error) {
        if (given !== 'free' || !(error instanceof PortTakenError) || attempt === PORT_ATTEMPTS) throw error
      }
    }
  }
}

/** A server of its own for one test; `await using` ends it. */
export async function startNatsServer(options: ServerOptions = {}): Promise<NatsServer> {
  return await NatsServer.start(options)
}

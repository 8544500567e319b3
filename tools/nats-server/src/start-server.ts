import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findServer } from './find-server.ts'
import { freePorts } from './free-port.ts'
import { ServerProcess } from './server-process.ts'

export interface ServerOptions {
  /** A line (`2.12`) or an exact release; any from 2.10 on when absent. */
  readonly version?: string
  /** Kept when given; else one of its own that goes with the server. */
  readonly storeDirectory?: string
  /** More lines of server configuration: accounts, TLS, limits. */
  readonly config?: string
  /** @default true */
  readonly jetstream?: boolean
  readonly port?: number
  readonly name?: string
}

/** A nats-server on loopback. Its port and its data stay over `kill` and `restart`. */
export class NatsServer implements AsyncDisposable {
  readonly port: number
  readonly url: string
  readonly version: string
  readonly storeDirectory: string
  readonly #binary: string
  readonly #scratch: string
  readonly #config: string
  #process: ServerProcess | undefined

  private constructor(fields: {
    port: number
    version: string
    storeDirectory: string
    binary: string
    scratch: string
    config: string
  }) {
    this.port = fields.port
    this.url = `nats://127.0.0.1:${fields.port}`
    this.version = fields.version
    this.storeDirectory = fields.storeDirectory
    this.#binary = fields.binary
    this.#scratch = fields.scratch
    this.#config = fields.config
  }

  /** NoServerError when there is none of that version and none can be had. */
  static async start(options: ServerOptions = {}): Promise<NatsServer> {
    const { binary, version } = await findServer(options.version)
    const scratch = await mkdtemp(join(tmpdir(), 'slip-nats-'))
    const port = options.port ?? (await freePorts(1))[0]!
    const storeDirectory = options.storeDirectory ?? join(scratch, 'store')
    const config = join(scratch, 'server.conf')
    const server = new NatsServer({ port, version, storeDirectory, binary, scratch, config })
    await server.configure(serverConfig(options, port, storeDirectory))
    await server.restart()
    return server
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** What the server wrote to its log since it was last started. */
  get log(): string {
    return this.#process?.log ?? ''
  }

  /** Replaces the configuration; it counts from the next `restart` or `reload` on. */
  async configure(text: string): Promise<void> {
    await writeFile(this.#config, text)
  }

  reload(): void {
    this.#process?.signal('SIGHUP')
  }

  /** SIGSTOP: connections stay open and nothing answers. */
  freeze(): void {
    this.#process?.signal('SIGSTOP')
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

  /** Starts the server again on its port and data, ending it first when it runs. */
  async restart(): Promise<void> {
    await this.kill()
    this.#process = await ServerProcess.start(this.#binary, ['-c', this.#config], this.port)
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
}

/** The configuration of one server, before what a test adds. */
export function serverConfig(options: ServerOptions, port: number, storeDirectory: string): string {
  const lines = [
    `host: "127.0.0.1"`,
    `port: ${port}`,
    `server_name: ${JSON.stringify(options.name ?? `slip-${port}`)}`,
    ...(options.jetstream === false ? [] : [`jetstream { store_dir: ${JSON.stringify(storeDirectory)} }`]),
    options.config ?? '',
  ]
  return lines.join('\n')
}

/** A server of its own for one test; `await using` ends it. */
export async function startNatsServer(options: ServerOptions = {}): Promise<NatsServer> {
  return await NatsServer.start(options)
}

import { type ChildProcess, spawn } from 'node:child_process'
import { createConnection } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

const READY_WITHIN_MS = 30_000
const KEPT_LOG_CHARACTERS = 200_000

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** One run of a nats-server binary, from ready to gone. */
export class ServerProcess {
  readonly pid: number
  readonly exited: Promise<void>
  readonly #child: ChildProcess
  #log = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    this.pid = child.pid ?? -1
    running.add(child)
    child.stderr?.on(
      'data',
      (chunk: Buffer) => (this.#log = (this.#log + chunk.toString()).slice(-KEPT_LOG_CHARACTERS)),
    )
    this.exited = new Promise((resolve) => {
      child.once('exit', () => {
        running.delete(child)
        resolve()
      })
      child.once('error', () => resolve())
    })
  }

  /** Resolves when the server greets on `port`. */
  static async start(binary: string, args: readonly string[], port: number): Promise<ServerProcess> {
    const server = new ServerProcess(spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] }))
    let gone = false
    void server.exited.then(() => (gone = true))
    const until = performance.now() + READY_WITHIN_MS
    while (!(await greets(port))) {
      if (gone) throw new Error(`nats-server ended at once:\n${server.log}`)
      if (performance.now() > until) {
        await server.end('SIGKILL')
        throw new Error(`nats-server did not answer within ${READY_WITHIN_MS} ms:\n${server.log}`)
      }
      await wait(10)
    }
    return server
  }

  get log(): string {
    return this.#log
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  async end(name: NodeJS.Signals): Promise<void> {
    this.#child.kill(name)
    await this.exited
  }
}

async function greets(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    const done = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1_000, () => done(false))
    socket.once('error', () => done(false))
    socket.once('data', (chunk) => done(chunk.toString('latin1').startsWith('INFO ')))
  })
}

import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { freeze } from './freeze.ts'
import { greeting } from './greeting.ts'
import { endWithUs } from './guard.ts'

const READY_WITHIN_MS = 30_000
const ENDS_WITHIN_MS = 10_000
const KEPT_LOG_CHARACTERS = 200_000

/** The server could not have its port: somebody else listens there. */
export class PortTakenError extends Error {
  override readonly name: string = 'PortTakenError'
}

/** One run of a nats-server binary, from ready to gone. */
export class ServerProcess {
  readonly pid: number
  readonly exited: Promise<void>
  readonly #child: ChildProcess
  #log = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    this.pid = child.pid ?? -1
    endWithUs(child)
    child.stderr?.on(
      'data',
      (chunk: Buffer) => (this.#log = (this.#log + chunk.toString()).slice(-KEPT_LOG_CHARACTERS)),
    )
    this.exited = new Promise((resolve) => {
      child.once('close', () => resolve())
      child.once('error', () => resolve())
    })
  }

  /** Resolves when the server greets on `port`. */
  static async start(binary: string, args: readonly string[], port: number): Promise<ServerProcess> {
    const server = new ServerProcess(spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] }))
    let gone = false
    void server.exited.then(() => (gone = true))
    const until = performance.now() + READY_WITHIN_MS
    while (!(await server.#greets(port))) {
      if (gone) throw startError(server.log)
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

  /** Returns when nothing of the process runs any more; a process that is gone stays so. */
  freeze(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) freeze(this.pid)
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Resolves when the process is gone; one that does not heed the signal is killed. */
  async end(name: NodeJS.Signals): Promise<void> {
    this.#child.kill(name)
    const insist = setTimeout(() => this.#child.kill('SIGKILL'), ENDS_WITHIN_MS)
    await this.exited
    clearTimeout(insist)
  }

  /** Another server may sit on the port while ours is about to fail; the log knows which identity is ours. */
  async #greets(port: number): Promise<boolean> {
    const info = await greeting(port).catch(() => undefined)
    return info !== undefined && this.#log.includes(String(info['server_id']))
  }
}

function startError(log: string): Error {
  const message = `nats-server ended at once:\n${log}`
  return /address already in use/i.test(log) ? new PortTakenError(message) : new Error(message)
}

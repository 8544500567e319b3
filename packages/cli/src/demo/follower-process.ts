import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { BucketHost } from './bucket-host.ts'
import type { DemoBucket } from './demo-bucket.ts'
import type { FromFollower, Standing, ToFollower } from './messages.ts'

const MAIN = fileURLToPath(import.meta.resolve('./follower-main.js'))

type Message<T extends FromFollower['type']> = Extract<FromFollower, { readonly type: T }>

/** A follower in a process of its own, as the demo sees it. */
export class FollowerProcess {
  readonly #child: ChildProcess
  readonly #host: BucketHost
  readonly #exited: Promise<unknown>
  readonly #listeners = new Set<(message: FromFollower) => void>()

  private constructor(child: ChildProcess, host: BucketHost) {
    this.#child = child
    this.#host = host
    this.#exited = once(child, 'exit').finally(() => host.close())
    child.on('message', (message: FromFollower) => this.#take(message))
  }

  static start(bucket: DemoBucket, foldPath: string): FollowerProcess {
    // `advanced` carries bytes and bigints as they are.
    const child = fork(MAIN, { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    const follower = new FollowerProcess(child, new BucketHost(bucket.watcher))
    follower.#tell({ type: 'start', bucket: bucket.name, place: bucket.place, foldPath })
    return follower
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  onStanding(listener: (standing: Standing) => void): void {
    this.#listeners.add((message) => {
      if (message.type === 'status') listener(message)
    })
  }

  async caughtUp(signal: AbortSignal): Promise<Standing> {
    return await this.#next('caughtUp', signal)
  }

  async read(prefix: string, signal: AbortSignal): Promise<Message<'entries'>> {
    const answer = this.#next('entries', signal)
    this.#tell({ type: 'read', prefix })
    return await answer
  }

  /** Kills with SIGKILL: no handler runs, nothing is flushed or released by the process itself. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  async stop(): Promise<void> {
    this.#tell({ type: 'stop' })
    await this.#exited
  }

  #tell(message: ToFollower): void {
    if (this.#child.connected) this.#child.send(message, () => undefined)
  }

  #take(message: FromFollower): void {
    if (message.type !== 'question') {
      for (const listener of this.#listeners) listener(message)
      return
    }
    const { id, question } = message
    void this.#host.answer(question).then((answer) => this.#tell({ type: 'answer', id, answer }))
  }

  async #next<T extends FromFollower['type']>(type: T, signal: AbortSignal): Promise<Message<T>> {
    signal.throwIfAborted()
    return await new Promise<Message<T>>((resolve, reject) => {
      const finish = (act: () => void): void => {
        this.#listeners.delete(listener)
        signal.removeEventListener('abort', onAbort)
        act()
      }
      const listener = (message: FromFollower): void => {
        if (message.type === type) finish(() => resolve(message as Message<T>))
        else if (message.type === 'failed')
          finish(() => reject(new Error(`the follower failed: ${message.message}`)))
      }
      const onAbort = (): void => finish(() => reject(signal.reason as Error))
      this.#listeners.add(listener)
      signal.addEventListener('abort', onAbort)
      void this.#exited.then(() =>
        finish(() => reject(new Error(`the follower ended before it said ${type}`))),
      )
    })
  }
}

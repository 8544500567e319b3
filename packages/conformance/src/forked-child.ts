import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const PATIENCE_MS = 120_000

/** A child process ended, or said nothing for two minutes, where an answer was due. */
export class ChildEnded extends Error {
  override readonly name: string = 'ChildEnded'
}

/** A program of this package in a process of its own: it answers one question at a time. */
export class ForkedChild {
  readonly #child: ChildProcess
  #complaint = ''
  #silent = false

  private constructor(child: ChildProcess) {
    this.#child = child
    child.stderr?.on('data', (chunk: Buffer) => (this.#complaint += chunk.toString()))
    child.on('error', () => {})
  }

  /** `program` is named without its suffix; `launcher` is a command that starts what follows it. */
  static start(program: string, launcher: readonly string[] = []): ForkedChild {
    const script = fileURLToPath(new URL(`./${program}.js`, import.meta.url))
    const words = [...launcher, process.execPath, script]
    const stdio = ['ignore', 'ignore', 'pipe', 'ipc'] as ('ignore' | 'pipe' | 'ipc')[]
    return new ForkedChild(
      spawn(words[0]!, words.slice(1), {
        stdio,
        serialization: 'advanced',
        // A group of its own, so that a kill reaches what a launcher started.
        detached: true,
      }),
    )
  }

  /** Rejects with ChildEnded when the process does not live to answer. */
  async ask<A>(question: object): Promise<A> {
    if (this.#gone) throw new ChildEnded(`the process has ended: ${this.#complaint}`)
    const waiting = new AbortController()
    const { signal } = waiting
    try {
      const answered = once(this.#child, 'message', { signal }).then(([answer]) => answer as A)
      const ended = once(this.#child, 'exit', { signal }).then(([code, killer]) => {
        const how = this.#silent
          ? `said nothing for ${PATIENCE_MS / 1_000} s`
          : `ended with ${String(killer ?? code)}`
        throw new ChildEnded(`the process ${how}: ${this.#complaint}`)
      })
      const late = setTimeout(() => {
        this.#silent = true
        this.#killGroup()
      }, PATIENCE_MS)
      try {
        this.#child.send(question, () => {})
        return await Promise.race([answered, ended])
      } finally {
        clearTimeout(late)
        answered.catch(() => {})
        ended.catch(() => {})
      }
    } catch (error) {
      if (error instanceof ChildEnded) throw error
      throw new ChildEnded(`the process could not be asked: ${this.#complaint}`, { cause: error })
    } finally {
      waiting.abort()
    }
  }

  get #gone(): boolean {
    const { pid, exitCode, signalCode } = this.#child
    return pid === undefined || exitCode !== null || signalCode !== null
  }

  /** Kills it with -9, and what it started; resolves when it is gone. */
  async kill(): Promise<void> {
    const exited = this.#gone ? undefined : once(this.#child, 'exit')
    this.#killGroup()
    if (this.#child.connected) this.#child.disconnect()
    await exited
  }

  #killGroup(): void {
    const { pid } = this.#child
    if (pid === undefined) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // Nothing of the group is left, or there are no groups here.
      this.#child.kill('SIGKILL')
    }
  }
}

/** What a program of this package does: answers each question with what `answer` makes of it. */
export function answerQuestions(answer: (question: unknown) => Promise<unknown>): void {
  process.on('message', (question) => {
    void answer(question).then((reply) => process.send!(reply))
  })
}

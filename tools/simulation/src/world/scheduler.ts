import type { Random } from './random.ts'
import type { SimProcess } from './sim-process.ts'
import type { Trace } from './trace.ts'

/**
 * `timer` and `immediate` run in the order the event loop of their process gives them; a `completion`
 * of I/O comes whenever the seed says, once its time has come.
 */
export type TaskKind = 'timer' | 'immediate' | 'completion'

export interface Task {
  readonly owner: SimProcess
  readonly kind: TaskKind
  readonly what: string
  dueMs: number
  readonly order: number
  readonly run: () => void
  /** What becomes of it when its process dies first. */
  readonly abandoned: (() => void) | undefined
  cancelled: boolean
}

/** Work of real threads and files that belongs to a step. */
interface Held {
  readonly owner: SimProcess
  readonly work: () => Promise<void>
}

/** How much time one step takes of a process, and how often its event loop stalls. */
export interface Pace {
  readonly stepMs: number
  readonly stallChance: number
  readonly mostStallMs: number
}

/** The only clock and the only queue of a world: picks what runs next by seed, and jumps over idle time. */
export class Scheduler {
  nowMs = 0
  steps = 0
  pace: Pace = { stepMs: 0.01, stallChance: 0, mostStallMs: 0 }
  current: SimProcess
  readonly #kernel: SimProcess
  readonly #random: Random
  readonly #trace: Trace
  #tasks: Task[] = []
  readonly #held: Held[] = []
  #order = 0

  /** `kernel` owns what no process does. */
  constructor(kernel: SimProcess, random: Random, trace: Trace) {
    this.#kernel = kernel
    this.current = kernel
    this.#random = random
    this.#trace = trace
  }

  get pending(): number {
    return this.#tasks.length
  }

  /** A task of a process that is dead is never run. */
  post(
    owner: SimProcess,
    kind: TaskKind,
    what: string,
    afterMs: number,
    run: () => void,
    abandoned?: () => void,
  ): Task {
    const task: Task = {
      owner,
      kind,
      what,
      dueMs: this.nowMs + afterMs,
      order: this.#order++,
      run,
      abandoned,
      cancelled: owner.state === 'dead',
    }
    if (!task.cancelled) this.#tasks.push(task)
    return task
  }

  cancel(task: Task): void {
    if (task.cancelled) return
    task.cancelled = true
    const at = this.#tasks.indexOf(task)
    if (at >= 0) this.#tasks.splice(at, 1)
  }

  /** Runs one task, after which the microtasks have to be drained; false when there is nothing left. */
  step(): boolean {
    let runnable = this.#runnable()
    if (runnable.length === 0) {
      const next = this.#nextDueMs()
      if (next === Infinity) return false
      this.nowMs = Math.max(this.nowMs, next)
      runnable = this.#runnable()
    }
    const task = runnable.length === 1 ? runnable[0]! : this.#random.pick(runnable)
    this.cancel(task)
    this.steps++
    const { stepMs, stallChance, mostStallMs } = this.pace
    this.nowMs += stepMs
    if (task.owner.ticks && stallChance > 0 && this.#random.chance(stallChance))
      this.nowMs += this.#random.fraction() * mostStallMs
    this.#trace.note(`${this.nowMs.toFixed(2)} ${task.owner.name} ${task.what}`)
    this.current = task.owner
    task.run()
    return true
  }

  /**
   * Something outside of the world has to happen before the next step. The seed has decided its place in the
   * order of things, and the clock of the world stands still however long it takes.
   */
  hold(owner: SimProcess, work: () => Promise<void>): void {
    this.#held.push({ owner, work })
  }

  get holds(): boolean {
    return this.#held.length > 0
  }

  /** Does what the next step has to wait for, one after the other; `turn` drains the microtasks in between. */
  async settle(turn: () => Promise<void>): Promise<void> {
    for (let next = this.#held.shift(); next !== undefined; next = this.#held.shift()) {
      this.current = next.owner
      await next.work()
      await turn()
    }
  }

  /** Between two steps the world acts by itself. */
  rest(): void {
    this.current = this.#kernel
  }

  /** Its process slept for `ms` without noticing: timers come as much later. */
  delayTimers(owner: SimProcess, ms: number): void {
    for (const task of this.#tasks) if (task.owner === owner && task.kind !== 'completion') task.dueMs += ms
  }

  /** Takes away everything a process still had to do. */
  forget(owner: SimProcess): void {
    const gone = this.#tasks.filter((task) => task.owner === owner)
    this.#tasks = this.#tasks.filter((task) => task.owner !== owner)
    for (const task of gone) {
      task.cancelled = true
      task.abandoned?.()
    }
  }

  #runnable(): Task[] {
    const runnable: Task[] = []
    const first = new Map<SimProcess, { timer?: Task; immediate?: Task }>()
    for (const task of this.#tasks) {
      const { owner, kind } = task
      if (owner.state !== 'running' || task.dueMs > this.nowMs) continue
      if (kind === 'completion') {
        runnable.push(task)
        continue
      }
      let ofOwner = first.get(owner)
      if (ofOwner === undefined) first.set(owner, (ofOwner = {}))
      const before = ofOwner[kind]
      if (before === undefined || earlier(task, before)) ofOwner[kind] = task
    }
    for (const { timer, immediate } of first.values()) {
      if (timer !== undefined) runnable.push(timer)
      if (immediate !== undefined) runnable.push(immediate)
    }
    return runnable
  }

  #nextDueMs(): number {
    let next = Infinity
    for (const task of this.#tasks) if (task.owner.state === 'running' && task.dueMs < next) next = task.dueMs
    return next
  }
}

function earlier(a: Task, b: Task): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}

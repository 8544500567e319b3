import { Host } from './host.ts'
import { Random } from './random.ts'
import { Scheduler } from './scheduler.ts'
import { SimProcess } from './sim-process.ts'
import type { Trace } from './trace.ts'

/** 1 January 2031, when every world begins. */
const EPOCH_MS = 1_924_992_000_000

/** A simulated world: one clock, one queue, machines and processes, and chance from one seed. */
export class World {
  readonly trace: Trace
  readonly scheduler: Scheduler
  /** Where the bucket lives: another machine, whose clock is right. */
  readonly server: SimProcess
  /** Where the followers run. */
  readonly host: Host
  readonly #seed: string
  #pids = 100

  constructor(seed: string, trace: Trace) {
    this.#seed = seed
    this.trace = trace
    this.host = new Host(this.bootId(0))
    const elsewhere = new Host(this.bootId(-1))
    this.server = new SimProcess('bucket', 1, elsewhere, { ticks: false })
    this.scheduler = new Scheduler(this.server, this.random('schedule'), trace)
  }

  /** A stream of chance of its own for each name. */
  random(name: string): Random {
    return new Random(`${this.#seed}/${name}`)
  }

  get nowMs(): number {
    return this.scheduler.nowMs
  }

  /** The true time of day. */
  get timeMs(): number {
    return EPOCH_MS + this.scheduler.nowMs
  }

  bootId(boot: number): string {
    return `boot-${boot}`
  }

  spawn(name: string, namespace?: string): SimProcess {
    const pid = this.#pids++
    const process = new SimProcess(name, pid, this.host, namespace === undefined ? {} : { namespace })
    this.host.processes.set(pid, process)
    return process
  }

  /** SIGKILL, or the end of a program: nothing of it ever runs again. */
  kill(process: SimProcess): void {
    if (process.state === 'dead') return
    const { host } = process
    process.state = 'dead'
    host.processes.delete(process.pid)
    for (const [name, listener] of host.sockets) if (listener === process) host.sockets.delete(name)
    this.scheduler.forget(process)
    process.exited()
  }

  /** SIGSTOP: time goes on without it. */
  freeze(process: SimProcess): void {
    if (process.state === 'running') process.state = 'frozen'
  }

  /** SIGCONT. */
  thaw(process: SimProcess): void {
    if (process.state === 'frozen') process.state = 'running'
  }

  /** It slept with its machine: its monotonic clock stood still, the wall clock went on. */
  overslept(process: SimProcess, ms: number): void {
    process.suspendedMs += ms
    this.scheduler.delayTimers(process, ms)
  }
}

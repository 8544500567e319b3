import type { Host } from './host.ts'

/** One process of the simulated world: everything that is scheduled belongs to one, and dies with it. */
export class SimProcess {
  readonly name: string
  readonly pid: number
  readonly host: Host
  /** Containers differ in it: process ids and abstract sockets of another one cannot be seen. */
  readonly namespace: string
  /** Whether its clock moves while it computes, as that of a busy process does. */
  readonly ticks: boolean
  state: 'running' | 'frozen' | 'dead' = 'running'
  /** How long it slept with its machine, which its monotonic clock does not know of. */
  suspendedMs = 0
  readonly #onExit: (() => void)[] = []

  constructor(
    name: string,
    pid: number,
    host: Host,
    options: { readonly namespace?: string; readonly ticks?: boolean } = {},
  ) {
    this.name = name
    this.pid = pid
    this.host = host
    this.namespace = options.namespace ?? 'host'
    this.ticks = options.ticks ?? true
  }

  /** Called once it is dead: what the rest of the world notices. */
  onExit(listener: () => void): void {
    this.#onExit.push(listener)
  }

  exited(): void {
    this.state = 'dead'
    for (const listener of this.#onExit.splice(0)) listener()
  }
}

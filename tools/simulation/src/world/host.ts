import type { SimProcess } from './sim-process.ts'

/** A machine: what its processes share, besides the disk. */
export class Host {
  bootId: string
  /** How far its wall clock is off. */
  clockOffsetMs = 0
  /** Whether a name that somebody has is refused to others, of files and sockets: what locks are made of. */
  namesAreTaken = true
  readonly processes: Map<number, SimProcess> = new Map()
  /** Abstract sockets and who listens, by namespace and name. */
  readonly sockets: Map<string, SimProcess> = new Map()

  constructor(bootId: string) {
    this.bootId = bootId
  }
}

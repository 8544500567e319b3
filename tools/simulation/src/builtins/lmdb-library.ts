import { activeWorld } from '../world/active-world.ts'

/** An open file of LMDB's native half. */
interface Environment {
  address: number
  open(...args: unknown[]): number
  close(): void
  copy(path: string, compact: boolean, done: (error: unknown) => void): void
}

interface Library {
  Env: new () => Environment
}

/**
 * LMDB's native half, when it is loaded, with two things added: a file that a simulated process has open is
 * closed, as the system would, when that process dies, and a copy is one step of its world.
 */
export function installLmdbLibrary(): void {
  const dlopen = process.dlopen.bind(process)
  process.dlopen = (module: { exports: Partial<Library> }, ...rest: unknown[]) => {
    Reflect.apply(dlopen, process, [module, ...rest])
    if (module.exports.Env !== undefined) module.exports.Env = inWorlds(module.exports.Env)
  }
}

function inWorlds(Real: Library['Env']): Library['Env'] {
  return class extends Real {
    override open(...args: unknown[]): number {
      const world = activeWorld()
      // Closing writes nothing. Reads and cursors of a process that is dead are never used again.
      world?.scheduler.current.onExit(() => {
        if (this.address === 0) return
        this.address = 0
        super.close()
      })
      return super.open(...args)
    }

    override copy(path: string, compact: boolean, done: (error: unknown) => void): void {
      const world = activeWorld()
      if (world === undefined) {
        super.copy(path, compact, done)
        return
      }
      const { scheduler } = world
      const { current } = scheduler
      const copied = async (): Promise<unknown> =>
        new Promise((resolve) => super.copy(path, compact, resolve))
      scheduler.post(current, 'completion', 'thread copy', 0, () =>
        scheduler.hold(current, async () => done(await copied())),
      )
    }
  }
}

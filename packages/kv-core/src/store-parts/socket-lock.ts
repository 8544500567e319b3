import { createServer, type Server } from 'node:net'
import { systemCode } from './file-system.ts'

/** A lock the operating system lets go of when its process dies. */
export interface SocketLock {
  release(): Promise<void>
}

/**
 * Takes the machine-wide lock called `name`: a listening abstract Unix socket on Linux, a named pipe on
 * Windows. `taken` when another process, or this one, has it; `unsupported` on other systems.
 *
 * An abstract socket belongs to one network namespace: another container does not see it.
 */
export async function takeSocketLock(name: string): Promise<SocketLock | 'taken' | 'unsupported'> {
  const path =
    process.platform === 'linux'
      ? `\0slip-${name}`
      : process.platform === 'win32'
        ? `\\\\.\\pipe\\slip-${name}`
        : undefined
  if (path === undefined) return 'unsupported'
  const server = createServer((connection) => connection.destroy())
  try {
    await listen(server, path)
  } catch (error) {
    if (['EADDRINUSE', 'EACCES'].includes(systemCode(error) ?? '')) return 'taken'
    return 'unsupported'
  }
  server.unref()
  return {
    release: async () =>
      new Promise((resolve) => {
        server.close(() => resolve())
      }),
  }
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // exclusive: in a cluster worker the primary would otherwise listen on everyone's behalf.
    server.listen({ path, exclusive: true }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

import { findServer, NoServerError } from './find-server.ts'

const told = new Set<string>()

/** Whether tests against a server of this version have to be skipped; says so loudly, once for each version. */
export async function natsServerOrSkip(version?: string): Promise<{ readonly skip: boolean }> {
  try {
    await findServer(version)
    return { skip: false }
  } catch (error) {
    if (!(error instanceof NoServerError)) throw error
    if (!told.has(error.message)) process.stderr.write(`\nSKIPPED, needs a real server: ${error.message}\n\n`)
    told.add(error.message)
    return { skip: true }
  }
}

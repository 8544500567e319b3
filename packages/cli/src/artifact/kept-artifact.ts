import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { OptionSpecs, ParsedOptions } from '../command/command.ts'
import { unreadable } from '../output/local-file.ts'
import { UsageError } from '../output/usage-error.ts'
import { artifactDirectory } from './artifact-directory.ts'

/** In the directory of `--keep-artifact`: what is fetched, and what was fetched last. */
export const FETCHED = 'artifact'
export const PREVIOUS = 'previous'

export const KEEP_OPTIONS: OptionSpecs = {
  'keep-artifact': {
    value: 'DIR',
    help: 'a directory of its own where the artifact that was fetched last stays: of the next one only what changed is fetched',
  },
}

/** The directory of `--keep-artifact`; UsageError for one that has something else in the place of what is replaced. */
export async function keptArtifact(options: ParsedOptions, command: string): Promise<string | undefined> {
  const directory = options.text('keep-artifact')
  if (directory === undefined) return undefined
  if (directory === '') throw new UsageError('--keep-artifact names no directory', command)
  for (const name of ['', FETCHED, PREVIOUS]) {
    const path = join(directory, name)
    const names = await readdir(path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw unreadable(path, error, command)
    })
    if (name !== '' && names.length > 0 && (await artifactDirectory(path)) === undefined)
      throw new UsageError(`${path} is no artifact: give --keep-artifact a directory of its own`, command)
  }
  return directory
}

import { access } from 'node:fs/promises'
import { SnapshotError } from '@slip/kv-core'
import { AppendLogReader } from '@slip/store-applog'
import type { Output } from '../output/output.ts'
import { UsageError } from '../output/usage-error.ts'

export interface FoldAddress {
  readonly backend: 'log'
  readonly path: string
}

/** `log:PATH`; a bare path too where `bare` allows it. `lmdb:` needs a store this build does not have. */
export function foldAddress(text: string, options: { readonly bare?: boolean } = {}): FoldAddress {
  const colon = /^(log|lmdb):/.exec(text)?.[1]
  if (colon === 'lmdb')
    throw new UsageError(`${text} needs @slip/store-lmdb, which this version of slip does not include`)
  if (colon === undefined && options.bare !== true)
    throw new UsageError(`'${text}' is not a fold: write log:PATH`)
  const path = colon === undefined ? text : text.slice(colon.length + 1)
  if (path === '') throw new UsageError(`'${text}' names no file`)
  return { backend: 'log', path }
}

/** SnapshotError `NotFound` unless there is a file. */
export async function mustExist({ path }: FoldAddress): Promise<void> {
  try {
    await access(path)
  } catch (cause) {
    throw new SnapshotError('NotFound', `there is no fold at ${path}`, { path, cause })
  }
}

/**
 * Runs `read` on the fold at one committed cursor, without the writer's lock. What an unfinished last
 * write leaves out is warned of, unless a writer is there to finish it.
 */
export async function withReader<R>(
  text: string,
  output: Output,
  read: (reader: AppendLogReader) => Promise<R>,
): Promise<R> {
  const address = foldAddress(text)
  await mustExist(address)
  const reader = await AppendLogReader.open({ path: address.path })
  try {
    const { recovery, holder } = reader
    if (recovery !== undefined && holder === undefined)
      output.warn(
        `the last write to ${address.path} is unfinished: ${recovery.bytes} bytes from ${recovery.at} on are left out`,
      )
    return await read(reader)
  } finally {
    await reader.close()
  }
}

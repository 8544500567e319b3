import type { Output } from '../output/output.ts'
import { mustExist, type FoldAddress } from './fold-address.ts'
import { backendOf, type FoldBackend, type OpenedFold } from './fold-backend.ts'

/**
 * Runs `read` on the fold at one committed cursor, without the writer's lock. What an unfinished last
 * write leaves out is warned of, unless a writer is there to finish it.
 */
export async function withReader<R>(
  address: FoldAddress,
  output: Output,
  read: (fold: OpenedFold, backend: FoldBackend) => Promise<R>,
): Promise<R> {
  await mustExist(address)
  const backend = await backendOf(address)
  const fold = await backend.open(address.path)
  try {
    const { recovery, holder } = fold
    if (recovery !== undefined && holder === undefined)
      output.warn(
        `the last write to ${address.path} is unfinished: ${recovery.bytes} bytes from ${recovery.at} on are left out`,
      )
    return await read(fold, backend)
  } finally {
    await fold.close()
  }
}

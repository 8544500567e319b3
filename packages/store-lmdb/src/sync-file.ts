import { open } from 'node:fs/promises'
import { syncData } from '@slip/kv-core/store-parts'

/** Makes what was written to a file survive power loss. */
export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r+')
  try {
    await syncData(handle.fd)
  } finally {
    await handle.close()
  }
}

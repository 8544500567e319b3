// What the work of the two children beside this is compared with: plain copying and hashing of the same bytes.
import { copyFile, open } from 'node:fs/promises'
import { join } from 'node:path'
import { createBLAKE3 } from 'hash-wasm'

/** Runs each floor over the file `payload` through `measured`. */
export async function measureFloors(measured, payload, directory) {
  await measured('floor: copy and sync', async () => {
    await copyFile(payload, join(directory, 'copy'))
    const file = await open(join(directory, 'copy'), 'r+')
    await file.datasync()
    await file.close()
  })
  await measured('floor: read and hash in WebAssembly', async () => {
    const hash = await createBLAKE3()
    hash.init()
    const file = await open(payload)
    const stretch = new Uint8Array(512 * 1024)
    for (;;) {
      const { bytesRead } = await file.read(stretch)
      if (bytesRead === 0) break
      hash.update(stretch.subarray(0, bytesRead))
    }
    await file.close()
  })
}

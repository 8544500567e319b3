import type { PayloadFile } from '@slip/kv-core'
import { MANIFEST_FILE, PAYLOAD_DIRECTORY } from '../manifest.ts'
import type { ArtifactHead } from '../open-artifact.ts'
import { SIGNATURE_FILE } from '../signature.ts'
import { encodeTarHeader, TAR_BLOCK, tarPadding } from './tar-header.ts'

/** An archive that is made while it is read. */
export interface PayloadArchive {
  readonly bytes: number
  /** From the first byte on, each time; throws where the payload is not what its manifest says. */
  read(): AsyncGenerator<Uint8Array>
}

/** The manifest first, its signatures where there are any, `beside` it, then the payload. */
export function payloadArchive(
  head: ArtifactHead,
  files: readonly PayloadFile[],
  beside: readonly (readonly [name: string, bytes: Uint8Array])[] = [],
): PayloadArchive {
  const small: (readonly [name: string, bytes: Uint8Array])[] = [[MANIFEST_FILE, head.bytes]]
  if (head.signatures !== undefined) small.push([SIGNATURE_FILE, head.signatures])
  small.push(...beside)
  const sizes = [...small.map(([, bytes]) => bytes.length), ...files.map(({ size }) => size)]
  return {
    bytes: sizes.reduce((sum, size) => sum + TAR_BLOCK + size + tarPadding(size), 2 * TAR_BLOCK),
    read: async function* () {
      for (const [name, bytes] of small) {
        yield encodeTarHeader(name, bytes.length)
        yield bytes
        yield Buffer.alloc(tarPadding(bytes.length))
      }
      for (const file of files) {
        yield encodeTarHeader(`${PAYLOAD_DIRECTORY}/${file.name}`, file.size)
        yield* file.read()
        yield Buffer.alloc(tarPadding(file.size))
      }
      yield Buffer.alloc(2 * TAR_BLOCK)
    },
  }
}

import type { ObjectStore } from '@slip/kv-core'

/** Files of an archive as it was published: only the first 100 bytes of a name, no checksums looked at. */
export function filesOf(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  for (let at = 0; archive[at] !== 0 && at < archive.length;) {
    const name = archive.toString('latin1', at, archive.indexOf(0, at))
    const size = Number.parseInt(archive.toString('latin1', at + 124, at + 135), 8)
    files.set(name, Buffer.from(archive.subarray(at + 512, at + 512 + size)))
    at += 512 + Math.ceil(size / 512) * 512
  }
  return files
}

export function archiveOf(files: ReadonlyMap<string, Buffer>): Buffer {
  const blocks: Buffer[] = []
  for (const [name, bytes] of files) {
    const header = Buffer.alloc(512)
    header.write(name)
    header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124)
    header.write('0', 156)
    header.fill(' ', 148, 156)
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    )
    blocks.push(header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512))
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

export async function bytesOf(store: ObjectStore, name: string): Promise<Buffer> {
  const found = await store.get(name)
  const pieces: Buffer[] = []
  for await (const piece of found!.body) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}

export interface ListedPart {
  part: string
  size: number
}

/** The list of parts as it is written. */
export interface PlainList {
  format: number
  base_blake3: string
  base: ListedPart[]
  index: ListedPart
  layers: (ListedPart & { makes: string; head_size: number; head_blake3: string })[]
  kept: string[]
}

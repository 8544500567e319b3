const BLOCK = 512
const LIST = 'PARTS.json'

/** What the list in an archive says, as it is written. */
export interface ArchivedList {
  readonly base_blake3: string
  readonly base: readonly { readonly part: string }[]
  readonly index: { readonly part: string }
  readonly layers: readonly { readonly part: string; readonly makes: string }[]
  readonly kept: readonly string[]
}

/** Reads the list of parts out of an archive. */
export function archivedList(archive: Uint8Array): ArchivedList {
  const bytes = Buffer.from(archive)
  for (let at = 0; at < bytes.length;) {
    const header = bytes.subarray(at, at + BLOCK)
    const name = header.subarray(0, 100).toString().replace(/\0.*$/s, '')
    const size = Number.parseInt(header.subarray(124, 135).toString(), 8)
    if (name === LIST)
      return JSON.parse(bytes.subarray(at + BLOCK, at + BLOCK + size).toString()) as ArchivedList
    if (name === '') break
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
  }
  throw new Error(`no ${LIST} in an archive`)
}

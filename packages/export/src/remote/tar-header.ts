import { refused } from '../artifact-error.ts'

/** Headers and contents come in whole blocks. */
export const TAR_BLOCK = 512

/** `other`: a link, a device, a pipe. */
export type TarKind = 'file' | 'directory' | 'longName' | 'extended' | 'other'

export interface TarHeader {
  readonly name: string
  readonly size: number
  readonly kind: TarKind
}

const KINDS: Readonly<Record<string, TarKind>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '5': 'directory',
  L: 'longName',
  x: 'extended',
  g: 'extended',
}
const CHECKSUM_AT = 148
const CHECKSUM_END = 156
const LARGEST_OCTAL = 0o77777777777

/**
 * The header of a regular file, mode 0600, of the beginning of 1970, owned by nobody: the same name and size
 * give the same bytes. `RangeError` for a name of more than 100 bytes.
 */
export function encodeTarHeader(name: string, size: number): Uint8Array {
  const block = Buffer.alloc(TAR_BLOCK)
  if (Buffer.byteLength(name) > 100) throw new RangeError(`${name} does not fit into a header`)
  block.write(name)
  block.write('0000600\0', 100)
  block.write('0000000\0', 108)
  block.write('0000000\0', 116)
  if (size <= LARGEST_OCTAL) block.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  else {
    block[124] = 0x80
    block.writeBigUInt64BE(BigInt(size), 128)
  }
  block.write('00000000000\0', 136)
  block.write('        ', CHECKSUM_AT)
  block.write('0', CHECKSUM_END)
  block.write('ustar\u000000', 257)
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, CHECKSUM_AT)
  return block
}

/** How many bytes fill the last block of `size` bytes. */
export function tarPadding(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK
}

/** undefined for a block of zeros, the end. SnapshotError `ArtifactInvalid` for what is no header. */
export function decodeTarHeader(block: Uint8Array): TarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
  if (numberAt(bytes, CHECKSUM_AT, 8) !== checksum(bytes))
    throw refused('its archive has a header with a wrong checksum')
  const magic = bytes.toString('latin1', 257, 262)
  const prefix = magic === 'ustar' && bytes[263] === 0x30 ? textAt(bytes, 345, 155) : ''
  const name = textAt(bytes, 0, 100)
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    size: numberAt(bytes, 124, 12),
    kind: KINDS[String.fromCharCode(bytes[CHECKSUM_END]!)] ?? 'other',
  }
}

/** Text up to its first zero. SnapshotError `ArtifactInvalid` when it is not UTF-8. */
export function tarText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(0, end < 0 ? bytes.length : end),
    )
  } catch {
    throw refused('its archive has a name that is not UTF-8')
  }
}

function textAt(bytes: Buffer, at: number, length: number): string {
  return tarText(bytes.subarray(at, at + length))
}

/** Octal, or with the top bit of the first byte set a large binary number. */
function numberAt(bytes: Buffer, at: number, length: number): number {
  const field = bytes.subarray(at, at + length)
  if ((field[0]! & 0x80) !== 0) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, field[0]! & 0x7f)
    if (!Number.isSafeInteger(value)) throw refused('its archive has a size that is none')
    return value
  }
  const [, digits] = /^[ ]*([0-7]+)[ \0]*$/.exec(field.toString('latin1')) ?? []
  if (digits === undefined) throw refused('its archive has a number that is none')
  return Number.parseInt(digits, 8)
}

/** Over the header with its own checksum as spaces. */
function checksum(block: Uint8Array): number {
  return block.reduce((sum, byte, at) => sum + (at >= CHECKSUM_AT && at < CHECKSUM_END ? 0x20 : byte), 0)
}

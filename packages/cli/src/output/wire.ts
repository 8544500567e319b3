import type { KvEntry, VersionToken } from '@slip/kv-core'

const MAX_JSON_INTEGER = BigInt(Number.MAX_SAFE_INTEGER)

/** A JSON number up to 2^53-1, a string above, `null` where there is no u64 form. */
export function revisionJson(revision: bigint | undefined): number | string | null {
  if (revision === undefined) return null
  return revision <= MAX_JSON_INTEGER ? Number(revision) : revision.toString()
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

export interface KeyLine {
  readonly key: string
  readonly version: string
  readonly revision: number | string | null
}

export function keyLine(key: string, version: VersionToken): KeyLine {
  return { key, version: version.toHex(), revision: revisionJson(version.revision) }
}

export function entryLine({ key, value, version }: KvEntry): KeyLine & { readonly value: string } {
  return { key, value: base64(value), version: version.toHex(), revision: revisionJson(version.revision) }
}

/** Values for people: text when it is text, else its size. */
export function shown(value: Uint8Array): string {
  const text = new TextDecoder('utf-8', { fatal: false }).decode(value)
  // eslint-disable-next-line no-control-regex -- control characters are what makes a value unprintable
  return /[\u0000-\u0008\u000B-\u001F\uFFFD]/.test(text) ? `(${value.length} bytes)` : text
}

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

// What a terminal acts on, the tab and the line feed aside.
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Values for people: text when it is text that a terminal only shows, else its size. */
export function shown(value: Uint8Array): string {
  try {
    const text = UTF8.decode(value)
    if (!CONTROL.test(text)) return text
  } catch {
    // Bytes that are no text are counted as well.
  }
  return `(${value.length} bytes)`
}

/** Keys for people, each on its line: what no bucket would take is quoted. */
export function shownKey(key: string): string {
  return CONTROL.test(key) || /[\t\n]/.test(key) ? JSON.stringify(key) : key
}

import { KvError } from '@slip/kv-core'

const MOST_NAME_BYTES = 1024
const MOST_PART_BYTES = 255
// oxlint-disable-next-line no-control-regex
const REFUSED = /[\u0000-\u001f\u007f\\]|\p{Surrogate}/u

/**
 * KvError `InvalidKey` unless every transport can hold the name: parts of at most 255 bytes separated by `/`,
 * none empty, `.` or `..`, without control characters and `\`; together at most 1,024 bytes.
 */
export function mustBeObjectName(name: string): void {
  mustHaveParts(name, name.split('/'))
}

/** The same for the beginning of a name: its last part may be any beginning of one. */
export function mustBeNamePrefix(prefix: string): void {
  mustHaveParts(prefix, prefix.split('/').slice(0, -1))
}

function mustHaveParts(text: string, parts: readonly string[]): void {
  const isPlain =
    !REFUSED.test(text) &&
    Buffer.byteLength(text) <= MOST_NAME_BYTES &&
    parts.every(
      (part) => part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= MOST_PART_BYTES,
    )
  if (!isPlain)
    throw new KvError('InvalidKey', `${JSON.stringify(text.slice(0, 80))} is no name of an object`)
}

import type { WatchCursor } from '@slip/kv-core'
import { newBlake3 } from '../blake3.ts'
import { mustBeObjectName } from '../objects/object-name.ts'

// What the Rust system's object stores hold as it is; anything else they would escape, once or twice.
const PLAIN = /^[!$&'()+,\-./0-9:;=@A-Z_a-z ]+$/

/** The objects of one published name. */
export interface RemoteNames {
  /** Holds the exact bytes of the manifest of the newest artifact. */
  readonly pointer: string
  /** Payloads are below it. */
  readonly payloads: string
  /** Parts of payloads are below it. */
  readonly parts: string
}

/** `TypeError` for a name that a mixed fleet would not call the same. */
export function remoteNames(name: string): RemoteNames {
  if (!PLAIN.test(name))
    throw new TypeError(
      `${JSON.stringify(name)} cannot be published: a name has plain ASCII letters, digits, spaces and !$&'()+,-./:;=@_`,
    )
  try {
    mustBeObjectName(`${name}.manifest.json`)
    mustBeObjectName(name)
  } catch (cause) {
    throw new TypeError(`${JSON.stringify(name)} cannot be published`, { cause })
  }
  return { pointer: `${name}.manifest.json`, payloads: `${name}.payloads/`, parts: `${name}.parts/` }
}

/** Write-once: the same name is the same artifact. */
export async function payloadName(
  { payloads }: RemoteNames,
  cursor: WatchCursor,
  manifest: Uint8Array,
): Promise<string> {
  const hash = await newBlake3()
  hash.update(manifest)
  return `${payloads}${shownRank(cursor)}-${hash.digest().slice(0, 16)}.tar`
}

/** The rank as names begin with it. */
export function shownRank(cursor: WatchCursor): string {
  return rankOf(cursor).toString(16).padStart(16, '0')
}

/** By what payloads are pruned: the revision, 0 for any other cursor. */
export function rankOf(cursor: WatchCursor): bigint {
  return cursor.revision ?? 0n
}

/** The rank in the name of a payload: what comes before the first `-`; undefined when that is none. */
export function rankInName(name: string): bigint | undefined {
  const [, rank] = /^([0-9a-fA-F]{1,16})-/.exec(name.slice(name.lastIndexOf('/') + 1)) ?? []
  return rank === undefined ? undefined : BigInt(`0x${rank}`)
}

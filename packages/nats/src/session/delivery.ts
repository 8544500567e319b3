import { isUtf8 } from 'node:buffer'

import { VersionToken, type KvUpdate } from '@slip/kv-core'

import { covered } from './filters.ts'
import { readHeaders } from './message-headers.ts'
import type { DeliveryPosition } from './reply-subject.ts'

/** What one delivered message is: an update, a key outside the scope, or no key at all. */
export type Delivery = KvUpdate | 'outOfScope' | 'undecodable'

export interface DecodeRules {
  /** `$KV.<bucket>.`, the part of a subject before the key. */
  readonly subjectPrefix: string
  /** Undefined when the server's filters are exact. */
  readonly prefixes: readonly string[] | undefined
  readonly emptyValues: 'tombstone' | 'keep'
  /** The bucket honours `Nats-TTL`. */
  readonly messageTtls: boolean
  /** The bucket's age limit; undefined without one. */
  readonly maxAgeMs: number | undefined
}

/** Turns messages into updates. A key whose bytes are not UTF-8 has no string form: `undecodable`. */
export class DeliveryDecoder {
  readonly #rules: DecodeRules
  readonly #keyOffset: number

  constructor(rules: DecodeRules) {
    this.#rules = rules
    this.#keyOffset = Buffer.byteLength(rules.subjectPrefix)
  }

  decode(
    subject: Uint8Array,
    headers: Uint8Array | undefined,
    payload: Uint8Array,
    position: DeliveryPosition,
  ): Delivery {
    const key = keyOf(subject, this.#keyOffset)
    if (key === undefined) return 'undecodable'
    const { prefixes, emptyValues, maxAgeMs } = this.#rules
    if (prefixes !== undefined && !covered(prefixes, key)) return 'outOfScope'
    const version = VersionToken.fromRevision(BigInt(position.streamSequence))
    const fields = headers === undefined ? undefined : readHeaders(headers).fields
    if (fields !== undefined) {
      const removal = removalOf(key, version, fields, position.timestampMs)
      if (removal !== undefined) return removal
    }
    const writtenAtMs = position.timestampMs
    if (payload.length === 0 && emptyValues === 'tombstone')
      return { operation: 'delete', key, version, writtenAtMs, reason: 'tombstone' }
    const value = new Uint8Array(payload.buffer, payload.byteOffset, payload.length)
    const ttlMs = this.#rules.messageTtls ? timeToLiveMs(fields?.get('nats-ttl')) : undefined
    const lifeMs = ttlMs === undefined || (maxAgeMs !== undefined && maxAgeMs < ttlMs) ? maxAgeMs : ttlMs
    return lifeMs === undefined
      ? { operation: 'put', key, value, version, writtenAtMs }
      : { operation: 'put', key, value, version, writtenAtMs, expiresAtMs: writtenAtMs + lifeMs }
  }
}

/** A marker is a removal whatever its reason: one that a later server adds included. */
function removalOf(
  key: string,
  version: VersionToken,
  fields: ReadonlyMap<string, string>,
  writtenAtMs: number,
): KvUpdate | undefined {
  const operation = fields.get('kv-operation')
  if (operation === 'DEL') return { operation: 'delete', key, version, writtenAtMs }
  if (operation === 'PURGE') return { operation: 'purge', key, version, writtenAtMs }
  const marker = fields.get('nats-marker-reason')
  if (marker === undefined) return undefined
  if (marker === 'MaxAge') return { operation: 'delete', key, version, writtenAtMs, reason: 'expired' }
  return { operation: marker === 'Purge' ? 'purge' : 'delete', key, version, writtenAtMs }
}

function keyOf(subject: Uint8Array, offset: number): string | undefined {
  const bytes = Buffer.isBuffer(subject)
    ? subject
    : Buffer.from(subject.buffer, subject.byteOffset, subject.length)
  for (let i = offset; i < bytes.length; i++) {
    if (bytes[i]! <= 0x7f) continue
    return isUtf8(bytes.subarray(offset)) ? bytes.toString('utf8', offset) : undefined
  }
  return bytes.toString('latin1', offset)
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}

/** A `Nats-TTL` is whole seconds or a duration like `1h30m`; `never` and what cannot be read are undefined. */
export function timeToLiveMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d+$/.test(text)) return Number(text) === 0 ? undefined : Number(text) * 1_000
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined
  let ms = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    ms += Number(amount) * UNIT_MS[unit!]!
  return ms === 0 ? undefined : ms
}

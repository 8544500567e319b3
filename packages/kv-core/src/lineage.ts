import { createHash } from 'node:crypto'
import { ByteReader, ByteWriter } from './byte-fields.ts'
import { SnapshotError } from './errors.ts'
import { MAX_LINEAGE_BYTES } from './store.ts'

/** What a fold belongs to. */
export interface Binding {
  /** The kind of source: `nats`, `memory`. */
  readonly kind: string
  readonly name: string
  /** Absent when the source could not say. */
  readonly incarnation?: string
  /** Canonical prefixes, or a digest of them when they are too many to keep. */
  readonly scope: readonly string[] | ScopeDigest
  readonly whenEvicted: 'drop' | 'keep'
  /** @default 'tombstone' */
  readonly emptyValues?: 'tombstone' | 'keep'
  /** Whether this fold, or one it came from, saw its bucket evict current values. Never clears. */
  readonly evictionSeen: boolean
}

export interface ScopeDigest {
  /** Hex, over the prefixes as UTF-8, each followed by a zero byte. */
  readonly sha256: string
}

/** An applied update by which a later history can be told from this one. */
export interface Anchor {
  readonly revision: bigint
  readonly key: string
  /** The server's time of the message, Unix milliseconds. */
  readonly timeMs: bigint
}

/** Keys of the bucket that the fold holds no value of because of a limit of its store, as hashes of their names. */
export interface SkippedNames {
  /** Of keys that are themselves too long, so that the store does not know them at all. */
  readonly keys: readonly bigint[]
  /** Of keys whose value is too long; the store counts them among the deleted ones. */
  readonly values: readonly bigint[]
}

/** The opaque bytes a store keeps beside the cursor, decoded. */
export interface Lineage {
  readonly binding: Binding
  /** Oldest first, at most 64; each the newest applied revision of its key. */
  readonly anchors: readonly Anchor[]
  /** Whether the anchors name every key that was ever applied. */
  readonly anchorsComplete?: boolean
  /** Whether the fold is a state that the bucket was in; absent when that is not known. */
  readonly settled?: boolean
  /** Absent when nothing was skipped. */
  readonly skipped?: SkippedNames
}

/** How many anchors are kept. */
export const MAX_ANCHORS = 64

const GENERATION = 1
const FLAG_KEEP = 1
const FLAG_EVICTION_SEEN = 2
const FLAG_INCARNATION = 4
const FLAG_SCOPE_DIGEST = 8
const FLAG_SKIPPED = 16
const FLAG_ANCHORS_COMPLETE = 32
const FLAG_EMPTY_VALUES = 64
const FLAG_SETTLED = 128
const KNOWN_FLAGS = 255
const FLAGS_AT = 1
/** Beside its key. */
const ANCHOR_BYTES = 18
const MAX_NAME_BYTES = 2 * 1024
const MAX_SCOPE_BYTES = 4 * 1024
const MAX_SKIPPED = 512

/**
 * At most 16 KiB: a scope of more than 4 KiB becomes its digest; of more than 512 skipped names the
 * last are left out, those of values first; so are the oldest anchors that do not fit. `RangeError`
 * for a name of more than 2 KiB.
 */
export function encodeLineage(lineage: Lineage): Uint8Array {
  return joinLineage(encodeLineageHead(lineage), lineage.anchors.slice(-MAX_ANCHORS).map(encodeAnchor), {
    anchorsComplete: lineage.anchorsComplete === true && lineage.anchors.length <= MAX_ANCHORS,
    settled: lineage.settled === true,
  })
}

/** A lineage without its anchors. */
export function encodeLineageHead({ binding, skipped }: Omit<Lineage, 'anchors'>): Uint8Array {
  const scope = keptScope(binding.scope)
  const kept = keptSkipped(skipped)
  const out = new ByteWriter()
  out.u8(GENERATION)
  out.u8(
    (binding.whenEvicted === 'keep' ? FLAG_KEEP : 0) |
      (binding.evictionSeen ? FLAG_EVICTION_SEEN : 0) |
      (binding.incarnation === undefined ? 0 : FLAG_INCARNATION) |
      ('sha256' in scope ? FLAG_SCOPE_DIGEST : 0) |
      (kept === undefined ? 0 : FLAG_SKIPPED) |
      (binding.emptyValues === 'keep' ? FLAG_EMPTY_VALUES : 0),
  )
  for (const name of [binding.kind, binding.name, binding.incarnation]) {
    if (name === undefined) continue
    if (Buffer.byteLength(name) > MAX_NAME_BYTES)
      throw new RangeError(`a name in a lineage has at most ${MAX_NAME_BYTES} bytes`)
    out.text(name)
  }
  if ('sha256' in scope) out.text(scope.sha256)
  else {
    out.u16(scope.length)
    for (const prefix of scope) out.text(prefix)
  }
  for (const hashes of kept === undefined ? [] : [kept.keys, kept.values]) {
    out.u16(hashes.length)
    for (const hash of hashes) out.u64(hash)
  }
  return out.bytes()
}

/** An anchor as a lineage holds it; `RangeError` for a key of more than 65,535 bytes. */
export function encodeAnchor({ key, revision, timeMs }: Anchor): Uint8Array {
  const keyBytes = Buffer.byteLength(key)
  const bytes = Buffer.allocUnsafe(ANCHOR_BYTES + keyBytes)
  bytes.writeBigUInt64BE(revision)
  bytes.writeBigUInt64BE(timeMs, 8)
  bytes.writeUInt16BE(keyBytes, 16)
  bytes.write(key, ANCHOR_BYTES)
  return bytes
}

/**
 * A lineage of an encoded head and encoded anchors, oldest first; the oldest are left out where they do
 * not fit.
 */
export function joinLineage(
  head: Uint8Array,
  anchors: readonly Uint8Array[],
  { anchorsComplete, settled }: { readonly anchorsComplete: boolean; readonly settled: boolean },
): Uint8Array {
  let from = anchors.length
  let length = head.length + 2
  while (from > 0 && length + anchors[from - 1]!.length <= MAX_LINEAGE_BYTES)
    length += anchors[--from]!.length
  const bytes = new Uint8Array(length)
  bytes.set(head)
  if (anchorsComplete && from === 0) bytes[FLAGS_AT]! |= FLAG_ANCHORS_COMPLETE
  if (settled) bytes[FLAGS_AT]! |= FLAG_SETTLED
  let at = head.length
  bytes[at++] = 0
  bytes[at++] = anchors.length - from
  for (let i = from; i < anchors.length; i++) {
    bytes.set(anchors[i]!, at)
    at += anchors[i]!.length
  }
  return bytes
}

/**
 * SnapshotError `InvalidFormat` for a generation newer than this one knows, `Corrupted` for anything
 * else that `encodeLineage` cannot have written.
 */
export function decodeLineage(bytes: Uint8Array): Lineage {
  if (bytes.length > MAX_LINEAGE_BYTES) throw corrupted(`it has ${bytes.length} bytes`)
  const input = new ByteReader(bytes, corrupted)
  const generation = input.u8()
  if (generation > GENERATION)
    throw new SnapshotError(
      'InvalidFormat',
      `a lineage of generation ${generation} is newer than this version`,
    )
  if (generation !== GENERATION) throw corrupted(`its generation is ${generation}`)
  const flags = input.u8()
  if ((flags & ~KNOWN_FLAGS) !== 0) throw corrupted(`its flags are ${flags}`)
  const kind = input.text()
  const name = input.text()
  const incarnation = (flags & FLAG_INCARNATION) === 0 ? undefined : input.text()
  const scope =
    (flags & FLAG_SCOPE_DIGEST) === 0
      ? Array.from({ length: input.u16() }, () => input.text())
      : { sha256: input.text() }
  const hashes = (): bigint[] => Array.from({ length: input.u16() }, () => input.u64())
  const skipped = (flags & FLAG_SKIPPED) === 0 ? undefined : { keys: hashes(), values: hashes() }
  const anchors = Array.from({ length: input.u16() }, () => ({
    revision: input.u64(),
    timeMs: input.u64(),
    key: input.text(),
  }))
  input.end()
  return {
    binding: {
      kind,
      name,
      ...(incarnation === undefined ? {} : { incarnation }),
      scope,
      whenEvicted: (flags & FLAG_KEEP) === 0 ? 'drop' : 'keep',
      ...((flags & FLAG_EMPTY_VALUES) === 0 ? {} : { emptyValues: 'keep' as const }),
      evictionSeen: (flags & FLAG_EVICTION_SEEN) !== 0,
    },
    anchors,
    ...((flags & FLAG_ANCHORS_COMPLETE) === 0 ? {} : { anchorsComplete: true }),
    ...((flags & FLAG_SETTLED) === 0 ? {} : { settled: true }),
    ...(skipped === undefined ? {} : { skipped }),
  }
}

/** Whether a binding's scope is exactly these canonical prefixes. */
export function coversScope(binding: Binding, prefixes: readonly string[]): boolean {
  const bound = binding.scope
  if ('sha256' in bound) return bound.sha256 === digestOf(prefixes)
  return bound.length === prefixes.length && bound.every((prefix, i) => prefix === prefixes[i])
}

function keptScope(scope: readonly string[] | ScopeDigest): readonly string[] | ScopeDigest {
  if ('sha256' in scope) return scope
  const bytes = scope.reduce((sum, prefix) => sum + 2 + Buffer.byteLength(prefix), 0)
  return bytes <= MAX_SCOPE_BYTES ? scope : { sha256: digestOf(scope) }
}

function keptSkipped(skipped: SkippedNames | undefined): SkippedNames | undefined {
  if (skipped === undefined || skipped.keys.length + skipped.values.length === 0) return undefined
  const keys = skipped.keys.slice(0, MAX_SKIPPED)
  return { keys, values: skipped.values.slice(0, MAX_SKIPPED - keys.length) }
}

function digestOf(prefixes: readonly string[]): string {
  const hash = createHash('sha256')
  for (const prefix of prefixes) hash.update(prefix).update('\0')
  return hash.digest('hex')
}

function corrupted(what: string): SnapshotError {
  return new SnapshotError('Corrupted', `a lineage cannot be read: ${what}`)
}

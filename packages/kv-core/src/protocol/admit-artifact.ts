import type { WatchCursor } from '../cursor.ts'
import type { Binding } from '../lineage.ts'
import { scopeCovers } from '../scope.ts'

/** What a fold that is made of an artifact has to be; what is absent is not looked at. */
export interface WantedFold {
  readonly kind?: string | undefined
  readonly name?: string | undefined
  readonly incarnation?: string | undefined
  readonly whenEvicted?: 'drop' | 'keep' | undefined
  /** Canonical prefixes. */
  readonly prefixes?: readonly string[] | undefined
  /** `same`: to be followed on as it is. `covers`: to be read from, so that it has to be stated. @default 'same' */
  readonly scope?: 'same' | 'covers' | undefined
  /** The artifact's position may not be below this one, that of a fold which is there. */
  readonly notBehind?: WatchCursor | undefined
}

export interface AdmitInput {
  readonly cursor: WatchCursor
  /** Absent in an interchange artifact, and in one of a fold that was never bound. */
  readonly binding: Binding | undefined
  /** Canonical prefixes; undefined where the artifact states none, or only their digest. */
  readonly prefixes: readonly string[] | undefined
  readonly createdAtUnix: number
  /** Of the signatures beside the manifest the worst that is invalid, else the best. */
  readonly signature: 'absent' | 'invalid' | 'untrusted' | 'trusted'
  readonly requireSignature: boolean
  /** Infinity where any age will do. */
  readonly maxAgeMs: number
  readonly nowMs: number
  readonly wanted: WantedFold
}

export type ArtifactRefusal =
  | 'badSignature'
  | 'unsigned'
  | 'untrustedSignature'
  | 'tooOld'
  | 'otherSource'
  | 'otherBucket'
  | 'otherLineage'
  | 'otherEviction'
  | 'otherScope'
  | 'behindOwnFold'

/**
 * Whether an artifact may become a fold; undefined when nothing that it states speaks against it. What it
 * does not state is for attach and audit to find out. A signature that does not fit its bytes is never
 * passed over. An age is a distance: a time of making that lies in the future is no youth.
 */
export function admitArtifact(input: AdmitInput): ArtifactRefusal | undefined {
  const { binding, wanted, signature, maxAgeMs } = input
  if (signature === 'invalid') return 'badSignature'
  if (input.requireSignature && signature === 'absent') return 'unsigned'
  if (input.requireSignature && signature === 'untrusted') return 'untrustedSignature'
  const ageMs = input.nowMs - input.createdAtUnix * 1000
  if (ageMs > maxAgeMs || -ageMs > maxAgeMs) return 'tooOld'
  if (binding !== undefined) {
    if (contradicts(wanted.kind, binding.kind)) return 'otherSource'
    if (contradicts(wanted.name, binding.name)) return 'otherBucket'
    if (contradicts(wanted.incarnation, binding.incarnation)) return 'otherLineage'
    if (contradicts(wanted.whenEvicted, binding.whenEvicted)) return 'otherEviction'
  }
  if (!scopeFits(wanted, input.prefixes)) return 'otherScope'
  return isBehind(input.cursor, wanted.notBehind) ? 'behindOwnFold' : undefined
}

function contradicts(wanted: string | undefined, stated: string | undefined): boolean {
  return wanted !== undefined && stated !== undefined && wanted !== stated
}

/** Several prefixes of the artifact may cover what is wanted together. */
function scopeFits({ prefixes, scope }: WantedFold, stated: readonly string[] | undefined): boolean {
  if (prefixes === undefined) return true
  if (stated === undefined) return scope !== 'covers'
  if (!prefixes.every((prefix) => scopeCovers(stated, prefix))) return false
  return scope === 'covers' || stated.every((prefix) => scopeCovers(prefixes, prefix))
}

/** A position that is no revision cannot be compared, and is not ahead of one that is. */
function isBehind(cursor: WatchCursor, own: WatchCursor | undefined): boolean {
  if (own === undefined || own.isNone) return false
  const { revision } = cursor
  if (revision === undefined || own.revision === undefined) return !own.token.equals(cursor.token)
  return revision < own.revision
}

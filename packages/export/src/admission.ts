import {
  protocol,
  scopePrefixes,
  type ArtifactRefusal,
  type FoldFacts,
  type WantedFold,
  type WatchCursor,
  type WatchScope,
} from '@slip/kv-core'
import { refused } from './artifact-error.ts'
import type { Manifest } from './manifest.ts'
import { bindingOf, sameBinding } from './manifest-binding.ts'
import { judgeSignatures } from './signature.ts'
import { payloadBytes, type ArtifactHead } from './open-artifact.ts'

/** What is taken from somebody else, at most. */
export interface ArtifactLimits {
  /** Of the payload. */
  readonly maxBytes?: number | undefined
  /** Of the payload. @default 1024 */
  readonly maxFiles?: number | undefined
  /** How long ago the artifact was made, by its own word. */
  readonly maxAgeMs?: number | undefined
  /** Whether one of `trustedKeys` has to have signed it. @default true with `trustedKeys`, else false */
  readonly requireSignature?: boolean | undefined
  /** Ed25519 public keys, their 32 bytes or SPKI. */
  readonly trustedKeys?: readonly Uint8Array[] | undefined
}

/** What the fold has to be; what is absent here, or not stated by the artifact, is not looked at. */
export interface ExpectedFold {
  /** The kind of source, such as `nats`. */
  readonly kind?: string | undefined
  /** The bucket. */
  readonly name?: string | undefined
  /** Which history of it, as `SourceDescription.incarnation`. */
  readonly incarnation?: string | undefined
  readonly scope?: WatchScope | undefined
  /** `covers`: it may be wider than `scope`, for a fold that is only read from, and has to be stated. @default 'same' */
  readonly scopeMay?: 'same' | 'covers' | undefined
  readonly whenEvicted?: 'drop' | 'keep' | undefined
  /** Where the fold that is there stands: an artifact behind it is of no use. */
  readonly notBehind?: WatchCursor | undefined
}

const DEFAULT_MAX_FILES = 1024

const WHY: Readonly<Record<ArtifactRefusal, string>> = {
  badSignature: 'a signature beside its manifest does not fit',
  unsigned: 'it is not signed',
  untrustedSignature: 'none of the trusted keys signed it',
  tooOld: 'the time it was made at is too far from now',
  otherSource: 'it is of another kind of source',
  otherBucket: 'it is of another bucket',
  otherLineage: 'it is of another history of the bucket',
  otherEviction: 'it has another policy for what its bucket evicts',
  otherScope: 'it has another scope',
  behindOwnFold: 'it is behind the fold that is there',
}

/** Whether what an artifact states lets it in. SnapshotError `ArtifactInvalid` says what does not; `TypeError` for keys that are none. */
export function mustAdmit(head: ArtifactHead, limits: ArtifactLimits, expected: ExpectedFold): void {
  const { manifest } = head
  const { maxBytes = Infinity, maxFiles = DEFAULT_MAX_FILES, maxAgeMs = Infinity, trustedKeys = [] } = limits
  const requireSignature = limits.requireSignature ?? trustedKeys.length > 0
  if (requireSignature && trustedKeys.length === 0)
    throw new TypeError('requireSignature needs trustedKeys: a signature by anybody proves nothing')
  if (manifest.files.length > maxFiles)
    throw refused(`it has ${manifest.files.length} files, more than ${maxFiles}`)
  if (payloadBytes(manifest) > maxBytes)
    throw refused(`it has ${payloadBytes(manifest)} bytes, more than ${maxBytes}`)
  const refusal = protocol.admitArtifact({
    cursor: manifest.cursor,
    binding: manifest.binding,
    prefixes: statedPrefixes(manifest),
    createdAtUnix: manifest.createdAtUnix,
    signature: judgeSignatures(head.bytes, head.signatures, trustedKeys),
    requireSignature,
    maxAgeMs,
    nowMs: Date.now(),
    wanted: wantedFold(expected),
  })
  if (refusal !== undefined) throw refused(WHY[refusal])
}

/** Whether what was read of a payload is what its manifest states. SnapshotError `ArtifactInvalid`. */
export function mustMatch({ cursor, lineage, entries }: FoldFacts, manifest: Manifest): void {
  if (!cursor.equals(manifest.cursor))
    throw refused(
      `its payload stands at ${shownCursor(cursor)}, its manifest at ${shownCursor(manifest.cursor)}`,
    )
  if (manifest.schemaVersion !== 101) return
  if (entries !== manifest.entries)
    throw refused(`its payload has ${entries} entries, its manifest states ${manifest.entries}`)
  if (!sameBinding(bindingOf(lineage), manifest.binding))
    throw refused('its payload is bound to something else than its manifest states')
}

function statedPrefixes({ binding, scope }: Manifest): readonly string[] | undefined {
  if (scope !== undefined) return scope.length === 0 ? [] : scopePrefixes({ prefixes: scope })
  return binding === undefined || 'sha256' in binding.scope ? undefined : binding.scope
}

function wantedFold({ scope, scopeMay, ...rest }: ExpectedFold): WantedFold {
  return scope === undefined ? rest : { ...rest, prefixes: scopePrefixes(scope), scope: scopeMay }
}

function shownCursor(cursor: WatchCursor): string {
  return cursor.revision?.toString() ?? (cursor.isNone ? 'the beginning' : cursor.toHex())
}

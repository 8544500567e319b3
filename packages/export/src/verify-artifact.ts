import { join } from 'node:path'
import type { FoldFacts, PayloadFormat, WaitOptions } from '@slip/kv-core'
import { mustAdmit, mustMatch, type ArtifactLimits, type ExpectedFold } from './admission.ts'
import { asRefusal } from './import-snapshot.ts'
import { PAYLOAD_DIRECTORY, type Manifest } from './manifest.ts'
import { payloadBytes, payloadFiles, readHead } from './open-artifact.ts'
import { payloadOf } from './payload-formats.ts'
import type { Progress } from './seal-artifact.ts'

/** What an artifact holds, read from its payload. */
export interface VerifiedArtifact extends FoldFacts {
  readonly manifest: Manifest
  /** Of the payload. */
  readonly bytes: number
}

/**
 * Reads every byte of an artifact and changes nothing: what an import would refuse is refused here, with the
 * same SnapshotError.
 */
export async function verifyArtifact(
  directory: string,
  options: WaitOptions &
    ArtifactLimits & {
      readonly expected?: ExpectedFold | undefined
      readonly formats?: readonly PayloadFormat[] | undefined
      readonly onProgress?: Progress | undefined
    } = {},
): Promise<VerifiedArtifact> {
  const head = await readHead(directory)
  const { manifest } = head
  const { format, version, names } = await payloadOf(manifest, options.formats ?? [])
  mustAdmit(head, options, options.expected ?? {})
  for (const file of await payloadFiles(directory, manifest, names, options))
    for await (const _ of file.read());
  try {
    const facts = await format.check(join(directory, PAYLOAD_DIRECTORY), version, { signal: options.signal })
    mustMatch(facts, manifest)
    return { ...facts, manifest, bytes: payloadBytes(manifest) }
  } catch (error) {
    throw asRefusal(error)
  }
}

/** The manifest alone. SnapshotError `NotFound`, `ArtifactInvalid`, `Io`. */
export async function readManifest(directory: string): Promise<Manifest> {
  return (await readHead(directory)).manifest
}

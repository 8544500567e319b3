export type { ArtifactLimits, ExpectedFold } from './admission.ts'
export type { ExportableFold } from './copy-fold.ts'
export { exportSnapshot, type ExportOptions } from './export-snapshot.ts'
export { importSnapshot, type ImportOptions } from './import-snapshot.ts'
export {
  ARTIFACT_SCHEMA_VERSION,
  decodeManifest,
  encodeManifest,
  MANIFEST_FILE,
  type Manifest,
  type ManifestFile,
} from './manifest.ts'
export { directoryObjects } from './objects/directory-objects.ts'
export { s3Objects } from './objects/s3-objects.ts'
export type { S3Options } from './objects/s3-client.ts'
export type { S3Credentials } from './objects/s3-signature.ts'
export type { NatsObjectsOptions } from './objects/nats-object-bucket.ts'
export { natsObjects } from './objects/nats-objects.ts'
export { probeObjectStore, type ObservedCapabilities } from './objects/probe-object-store.ts'
export { downloadArtifact, type DownloadOptions, type DownloadProgress } from './remote/download-artifact.ts'
export { fromArtifact, type FromArtifactOptions } from './remote/from-artifact.ts'
export { pruneArtifacts, type PruneOptions } from './remote/prune-artifacts.ts'
export { publishArtifact, type Published, type PublishOptions } from './remote/publish-artifact.ts'
export { remoteNames, type RemoteNames } from './remote/remote-names.ts'
export type { Progress } from './seal-artifact.ts'
export { ExportLease, type LeaseOptions, type LeaseState } from './round/export-lease.ts'
export { ExportRounds, type ExportRoundsOptions, type RoundPlace } from './round/export-rounds.ts'
export { LeaseSightings } from './round/lease-sightings.ts'
export type { RoundClock } from './round/round-clock.ts'
export type { RoundOutcome, RoundReport, RoundsStatus, RoundTrouble } from './round/round-report.ts'
export { runExportRound, type ExportRoundOptions } from './round/run-export-round.ts'
export type { UnchangedArtifact } from './round/unchanged-artifact.ts'
export { SIGNATURE_FILE } from './signature.ts'
export { readManifest, verifyArtifact, type VerifiedArtifact } from './verify-artifact.ts'

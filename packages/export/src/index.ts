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
export type { Progress } from './seal-artifact.ts'
export { SIGNATURE_FILE } from './signature.ts'
export { readManifest, verifyArtifact, type VerifiedArtifact } from './verify-artifact.ts'

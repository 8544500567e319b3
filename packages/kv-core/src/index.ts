export type { BatchConfig } from './batcher.ts'
export { WatchCursor, type CursorMemo } from './cursor.ts'
export type { KvEntry, KvPutUpdate, KvRemovalUpdate, KvUpdate, RemovalReason } from './entry.ts'
export { KvError, SnapshotError, type KvErrorCode, type SnapshotErrorCode } from './errors.ts'
export { bytesToHex, hexToBytes } from './hex.ts'
export { compareKeys, prefixEnd } from './keys.ts'
export {
  decodeLineage,
  encodeLineage,
  MAX_ANCHORS,
  type Anchor,
  type Binding,
  type Lineage,
  type ScopeDigest,
  type SkippedNames,
} from './lineage.ts'
export type {
  ListedObject,
  ObjectCondition,
  ObjectGetOptions,
  ObjectPutOptions,
  ObjectRange,
  ObjectStore,
  StoredObject,
} from './object-store.ts'
export type {
  FoldFacts,
  FoldUpdates,
  PayloadFile,
  PayloadFormat,
  ReceiveOptions,
  TakeUpdates,
} from './payload.ts'
export { scopeCovers, scopePrefixes, type WatchScope } from './scope.ts'
export { Slices, type SliceMessage } from './slices.ts'
export type {
  BulkOperation,
  BulkOutcome,
  Connection,
  ConnectionCapabilities,
  KvPurge,
  KvHistory,
  KvReader,
  KvStore,
  KvTtl,
  KvWatcher,
  KvWriter,
  ListedKey,
  Listing,
  SettingDrift,
  SourceDescription,
  StorageType,
  StoreConfig,
  StoredMessage,
  WaitOptions,
  WatchBatch,
  WatchOptions,
} from './source.ts'
export {
  MAX_LINEAGE_BYTES,
  type ApplyOptions,
  type CopyOptions,
  type FoldReader,
  type RangeOptions,
  type Recovery,
  type SnapshotLocation,
  type SnapshotStore,
  type SnapshotView,
  type StagedFold,
  type StoreFeatures,
  type StoreStats,
} from './store.ts'
export { VersionToken } from './token.ts'
export { type FollowSource, type SourceOpener } from './follow-source.ts'
export type { Change, ChangesOptions } from './follow/changes.ts'
export { follow } from './follow/follow.ts'
export type { Follower } from './follow/follower.ts'
export type { BootstrapOptions, FollowOptions } from './follow/options.ts'
export type { FollowState, FollowStatus, Unverified } from './follow/status.ts'
export {
  watchApplied,
  type ApplyContext,
  type ApplyOptionsOf,
  type ApplyPhase,
  type WatchAppliedOptions,
} from './watch-applied.ts'
export type { AdmitInput, ArtifactRefusal, WantedFold } from './protocol/admit-artifact.ts'
export type { FlushDecision, FlushInput } from './protocol/after-flush.ts'
export type { ReopenInput } from './protocol/after-reopen.ts'
export type { AttachDecision, AttachInput, RebuildReason } from './protocol/attach.ts'
export type { AuditInput, KeyCounts } from './protocol/audit.ts'
export type { BeginsAtNewestInput } from './protocol/begins-at-newest.ts'
export type { ListAgainInput } from './protocol/list-again.ts'
export type { ListingTallyInput } from './protocol/audit-listing.ts'
export type { ListedInput } from './protocol/judge-listed.ts'
export type { FastForwardInput } from './protocol/fast-forward-to.ts'
export type { HandOverInput } from './protocol/hand-over.ts'
export type { HistoryEvidence, HistoryStep, HistoryVerdict } from './protocol/judge-history.ts'
export type { ExportedState, IsPublishedInput } from './protocol/is-published.ts'
export type { LeaseDecision, LeaseInput, LeaseSighting } from './protocol/lease.ts'
export type { ListingTruthInput } from './protocol/listing-is-truth.ts'
export type { OverrunInput } from './protocol/overrun.ts'
export type { EvictionInput } from './protocol/saw-eviction.ts'
export type { BookmarkInput } from './protocol/on-bookmark.ts'
export type { DeliveryInput } from './protocol/on-delivery.ts'
export type { MayFastForwardInput } from './protocol/may-fast-forward.ts'
export type { MayRestoreInput, RestoreRefusal } from './protocol/may-restore.ts'
export type { PayloadRank, PrunableInput } from './protocol/prunable.ts'
export type { PrunablePartInput } from './protocol/prunable-part.ts'
export type { InheritsPartsInput } from './protocol/inherits-parts.ts'
export type { LayersAfter, LayersAfterInput } from './protocol/layers-after.ts'
export type { ArtifactPosition, PublishInput, PublishVerdict } from './protocol/publish.ts'
export { protocol, type Protocol } from './protocol/protocol.ts'
export type { PutPayload, ReplacedForInput } from './protocol/replaced-for.ts'
export type { RestoreKeyInput } from './protocol/restore-key.ts'
export type { ResumeStart } from './protocol/resume-start.ts'
export type { SealPartsInput, SealPartsVerdict } from './protocol/seal-parts.ts'
export type { WatchdogInput } from './protocol/watchdog.ts'
export { decodeValueRecord, encodeValueRecord, type ValueRecord } from './value-record.ts'

export { slicedCrc, type RunningCrc } from './crc-table.ts'
export { portableCrc32c } from './crc32c.ts'
export {
  nodeFileSystem,
  syncData,
  systemCode,
  type FileFacts,
  type FileSystem,
  type LogHandle,
  type OpenMode,
} from './file-system.ts'
export { UpdateBatches, updatesOf, type FoldSource } from './fold-updates.ts'
export { asciiPrefix, compareBytes, isUtf8, utf8Bytes, utf8Length, writeUtf8 } from './key-bytes.ts'
export { keyRange, rangeLimit, type KeyRange } from './key-range.ts'
export { describeSelf, judgeHolder, type LockHolder } from './lock-holder.ts'
export { canonicalPath, withLockedPath } from './locked-path.ts'
export { takeSocketLock, type SocketLock } from './socket-lock.ts'
export { Turns } from './turns.ts'
export { currentHolder, lockPath, WriterLock, type LockWait } from './writer-lock.ts'

export { MemoryConnection, MemoryStore, type MemoryConnectionOptions } from './connection.ts'
export type { BucketBackup, FaultOptions, MemoryFaults } from './faults.ts'
export { memoryBucket } from './memory-bucket.ts'

export { MemoryConnection, MemoryStore, type MemoryConnectionOptions } from './connection.ts'
export type { MemoryFaults } from './faults.ts'
export { memoryBucket } from './memory-bucket.ts'

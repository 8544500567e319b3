import { slicedCrc, type RunningCrc } from './crc-table.ts'

/** CRC-32C (Castagnoli, reflected) in plain TypeScript. The value of "123456789" is e3069283. */
export const portableCrc32c: RunningCrc = slicedCrc(0x82f6_3b78)

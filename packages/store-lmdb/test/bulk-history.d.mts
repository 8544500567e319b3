import type { KvUpdate } from '@slip/kv-core'

export const BATCH: number
export function batchAt(i: number, count: number): KvUpdate[]

import type { StoreFeatures } from '@slip/kv-core'
import { MAX_VALUE_BYTES } from './fold-record.ts'
import { MAX_KEY_BYTES } from './stored-key.ts'

/** What every fold in LMDB can do. */
export const FEATURES: StoreFeatures = {
  views: true,
  lineage: true,
  deletedKeys: true,
  staging: true,
  durable: true,
  multiProcessReaders: true,
  maxKeyBytes: MAX_KEY_BYTES,
  maxValueBytes: MAX_VALUE_BYTES,
}

import { lmdb } from '@slip/store-lmdb'
import { optionsOf } from './conformance-child.mjs'

/** Whatever it reads is what was written. */
export default (path) => lmdb({ ...optionsOf(path), check: 'records', verifyReads: true })

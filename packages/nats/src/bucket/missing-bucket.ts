import { KvError } from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'

/**
 * The error to throw when nobody answered at a subject of the bucket: a stream that is gone and one
 * without a leader look the same from there. Gives `BucketNotFound` or the error itself.
 */
export async function explained(context: BucketContext, error: unknown): Promise<unknown> {
  if (!KvError.is(error) || error.code !== 'Unreachable') return error
  try {
    await context.api(`STREAM.INFO.${context.stream}`, undefined, {})
    return error
  } catch (reason) {
    return KvError.is(reason) && reason.code === 'BucketNotFound' ? reason : error
  }
}

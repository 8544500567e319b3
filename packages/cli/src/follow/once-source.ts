import { KvError, type KvErrorCode, type SourceOpener } from '@slip/kv-core'

const ANSWERS: readonly KvErrorCode[] = ['Unauthorized', 'PermissionDenied', 'BucketNotFound', 'Unsupported']

/**
 * A source that may fail for good: the follower itself waits for ever, which is not what somebody at a
 * terminal wants. `onFailure` is called with the error to end with.
 *
 * A missing bucket ends the command unless it was there before. With `once` any refusal does, and so does
 * a server that could not be reached in time.
 */
export function failingSource(
  open: SourceOpener,
  options: {
    readonly once: boolean
    readonly timeoutMs: number
    readonly onFailure: (error: KvError) => void
  },
): SourceOpener {
  const { once, timeoutMs, onFailure } = options
  const startedAt = performance.now()
  let opened = false
  return async ({ signal }) => {
    try {
      const source = await open({ signal })
      opened = true
      return source
    } catch (error) {
      if (KvError.is(error) && !signal.aborted) {
        const late = performance.now() - startedAt >= timeoutMs
        if (once && (late || ANSWERS.includes(error.code))) onFailure(error)
        else if (!opened && error.code === 'BucketNotFound') onFailure(error)
      }
      throw error
    }
  }
}

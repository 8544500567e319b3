/**
 * Runs `fn` with a signal that aborts with `signal`, with the same reason, and always once `fn` is
 * done: what was started for `fn` ends with it.
 */
export async function withLinkedSignal<R>(
  signal: AbortSignal,
  fn: (linked: AbortSignal, abort: (reason: unknown) => void) => Promise<R>,
): Promise<R> {
  const own = new AbortController()
  const follow = (): void => own.abort(signal.reason)
  if (signal.aborted) follow()
  else signal.addEventListener('abort', follow)
  try {
    return await fn(own.signal, (reason) => own.abort(reason))
  } finally {
    signal.removeEventListener('abort', follow)
    own.abort(new Error('finished'))
  }
}

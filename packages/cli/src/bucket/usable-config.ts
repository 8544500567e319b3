import { KvError } from '@slip/kv-core'
import type { NatsConnectionConfig } from '@slip/nats'
import { UsageError } from '../output/usage-error.ts'

/** UsageError for a configuration that no server could be reached with. Opens no connection. */
export async function mustBeUsable(config: NatsConnectionConfig): Promise<void> {
  const { NatsConnection } = await import('@slip/nats')
  const stop = new Error('the configuration can be used')
  try {
    // An aborted attempt reads the configuration, and stops before it connects.
    await NatsConnection.connect(config, { signal: AbortSignal.abort(stop) })
  } catch (error) {
    if (error === stop) return
    if (error instanceof TypeError || error instanceof RangeError) throw new UsageError(error.message)
    throw asUsage(error)
  }
}

/** Credentials that cannot be read as the UsageError they are; anything else as it is. */
export function asUsage(error: unknown): unknown {
  // Where a server refused credentials, its refusal is the cause.
  return KvError.is(error) && error.code === 'Unauthorized' && error.cause === undefined
    ? new UsageError(error.message)
    : error
}

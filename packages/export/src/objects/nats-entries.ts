import type { WaitOptions } from '@slip/kv-core'
import { messagesOf } from './nats-messages.ts'
import { asking, type NatsObjectBucket, type NatsObjectInfo } from './nats-object-bucket.ts'

export interface NatsEntry {
  readonly info: NatsObjectInfo
  readonly timeMs: number
}

/**
 * The entry of each object that is there from the begin to the end, once, those of deleted ones too; none when there is no
 * bucket. What comes or goes meanwhile may be there or not.
 */
export async function* entriesOf(
  bucket: NatsObjectBucket,
  options: WaitOptions = {},
): AsyncGenerator<NatsEntry, void, undefined> {
  const all = bucket.entrySubjects
  const seen = new Set<string>()
  for await (const { subject, info, timeMs } of messagesOf(bucket, all, { ...options, lastOnly: true })) {
    if (seen.has(subject)) continue
    seen.add(subject)
    yield { info: info(), timeMs }
  }
  // An entry that was replaced as they came may have come neither before nor after.
  for (const subject of await asking(`reading ${all}`, async () => bucket.subjects(all))) {
    options.signal?.throwIfAborted()
    if (seen.has(subject)) continue
    const found = await asking(`reading ${subject}`, async () => bucket.newest(subject))
    if (found !== undefined) yield { info: found.json<NatsObjectInfo>(), timeMs: found.time.getTime() }
  }
}

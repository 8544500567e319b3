import { nuid } from '@nats-io/nats-core'
import type { SourceDescription, WaitOptions, WatchScope } from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import { pullConsumer } from './consumer-config.ts'
import { scopeFilters } from './filters.ts'
import type { StreamFacts } from './stream-facts.ts'
import { readStreamFacts } from './stream-probe.ts'

/** What a watcher says of its bucket, and the facts it was made of. */
export async function describeBucket(
  context: BucketContext,
  scope: WatchScope,
  options: WaitOptions,
): Promise<{ readonly description: SourceDescription; readonly facts: StreamFacts }> {
  const { facts, keyCount, countedThrough } = await countedFacts(context, scope, options)
  const { evictsAfterMs, serverTimeMs } = facts
  return {
    facts,
    description: {
      kind: 'nats',
      name: context.identity.name ?? context.bucket,
      incarnation: context.identity.incarnation ?? facts.created,
      firstRevision: BigInt(facts.firstSequence),
      lastRevision: BigInt(facts.lastSequence),
      evictsCurrentValues: facts.evictsCurrentValues,
      evictsOldestFirst: !facts.messageTtls,
      historyPerKey: facts.historyPerKey,
      ...(evictsAfterMs === undefined ? {} : { evictsAfterMs }),
      ...(serverTimeMs === undefined ? {} : { serverTimeMs }),
      ...(keyCount === undefined ? {} : { keyCount: BigInt(keyCount) }),
      ...(countedThrough === undefined ? {} : { countedThrough: BigInt(countedThrough) }),
    },
  }
}

interface CountedFacts {
  readonly facts: StreamFacts
  readonly keyCount?: number
  readonly countedThrough?: number
}

async function countedFacts(
  context: BucketContext,
  scope: WatchScope,
  options: WaitOptions,
): Promise<CountedFacts> {
  const facts = await readStreamFacts(context, options)
  const { prefixes, subjects, exact } = scopeFilters(context.subjectPrefix, scope)
  if (prefixes[0] === '') return { facts, keyCount: facts.subjectCount }
  if (!exact) return { facts }
  const keyCount = await countSubjects(context, subjects, options)
  const { created, lastSequence } = await readStreamFacts(context, options)
  if (created !== facts.created || lastSequence < facts.lastSequence) return { facts }
  return lastSequence === facts.lastSequence
    ? { facts, keyCount }
    : { facts, keyCount, countedThrough: lastSequence }
}

/** `num_pending` of a consumer that never delivers: one message for each subject. */
async function countSubjects(
  context: BucketContext,
  subjects: readonly string[],
  options: WaitOptions,
): Promise<number> {
  const name = `slip_count_${nuid.next()}`
  const plan = { stream: context.stream, name, subjects, deliverFrom: 'lastPerSubject' } as const
  const { subject, body } = pullConsumer(plan, true)
  const reply = await context.api(subject, body, options)
  context.api(`CONSUMER.DELETE.${context.stream}.${name}`, undefined, {}).catch(() => undefined)
  return (reply as { readonly num_pending?: number }).num_pending ?? 0
}

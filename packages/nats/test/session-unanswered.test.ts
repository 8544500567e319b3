import { setTimeout as wait } from 'node:timers/promises'
import { KvError } from '@slip/kv-core'
import { natsServerOrSkip } from '@slip/nats-server'
import { expect, test } from 'vitest'

import type { BucketContext } from '../src/bucket-context.ts'
import { createNatsWatcher } from '../src/session/watcher.ts'
import { contextOf, World } from './session-fixture.ts'

const VERSION = '2.12'
/** A session asks after its stream every 5 s. */
const UNANSWERED_MS = 11_500

const { skip } = await natsServerOrSkip(VERSION)

test.skipIf(skip)('questions that nobody answers do not end a session that delivers', async () => {
  await using world = await World.create(VERSION)
  const context = contextOf(world.reading, 'b')
  const asked: string[] = []
  let answered = true
  const api: BucketContext['api'] = async (subject, body, options) => {
    if (answered) return await context.api(subject, body, options)
    asked.push(subject)
    await wait(options.timeoutMs ?? 1_000)
    throw new KvError('Timeout', `${subject}: no answer`)
  }
  const reader = await world.read('all', {}, createNatsWatcher({ ...context, api })).untilCaughtUp()
  answered = false
  const from = performance.now()
  let written = 0
  while (performance.now() - from < UNANSWERED_MS) {
    await world.publish(`key.${written++}`, 'v')
    await wait(100)
  }
  await reader.until('everything', () => reader.updates.length === written)
  expect(asked.length).toBeGreaterThanOrEqual(2)
  expect(reader.ended).toBeUndefined()
})

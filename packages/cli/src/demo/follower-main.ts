// The process that the demo kills: a follower of its own with a durable fold, told what to do by messages.
import { follow, type Follower, type FollowStatus } from '@slip/kv-core'
import { appendLog } from '@slip/store-applog'
import { hostedBucket } from './hosted-bucket.ts'
import type { Answer, FromFollower, Standing, ToFollower } from './messages.ts'

const STATUS_EVERY_MS = 100

const waiting = new Map<number, (answer: Answer) => void>()
let questions = 0
let follower: Follower | undefined

function say(message: FromFollower): void {
  if (process.connected) process.send?.(message)
}

async function ask(question: Extract<FromFollower, { type: 'question' }>['question']): Promise<Answer> {
  const id = ++questions
  return await new Promise((resolve) => {
    waiting.set(id, resolve)
    say({ type: 'question', id, question })
  })
}

function standing({ state, entries, delivered, appliedCursor }: FollowStatus): Standing {
  return { state, entries, delivered, revision: appliedCursor.revision }
}

async function start({ bucket, place, foldPath }: Extract<ToFollower, { type: 'start' }>): Promise<void> {
  const source =
    place.kind === 'nats'
      ? (await import('@slip/nats')).natsBucket(bucket, place.config)
      : hostedBucket(bucket, ask)
  const opened = await follow({ source, store: appendLog({ path: foldPath }) })
  follower = opened
  const timer = setInterval(() => say({ type: 'status', ...standing(opened.status) }), STATUS_EVERY_MS)
  opened.closed.then(
    () => clearInterval(timer),
    (error: unknown) => fail(error),
  )
  await opened.caughtUp()
  say({ type: 'caughtUp', ...standing(opened.status) })
}

function read(prefix: string): void {
  if (follower === undefined) return
  const timed = (): { keys: string[]; micros: number } => {
    const from = performance.now()
    const entries = follower?.range(prefix) ?? []
    return { micros: Math.round((performance.now() - from) * 1_000), keys: entries.map(({ key }) => key) }
  }
  const { micros: firstMicros } = timed()
  say({ type: 'entries', firstMicros, ...timed() })
}

async function stop(): Promise<void> {
  await follower?.close()
  if (process.connected) process.disconnect()
}

function fail(error: unknown): void {
  say({ type: 'failed', message: error instanceof Error ? error.message : String(error) })
  if (process.connected) process.disconnect()
  process.exitCode = 1
}

process.on('message', (message: ToFollower) => {
  if (message.type === 'start') start(message).catch(fail)
  else if (message.type === 'read') read(message.prefix)
  else if (message.type === 'stop') stop().catch(fail)
  else {
    waiting.get(message.id)?.(message.answer)
    waiting.delete(message.id)
  }
})
// A follower without the demo that started it has no purpose.
process.on('disconnect', () => process.exit())

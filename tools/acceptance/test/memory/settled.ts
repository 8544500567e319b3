import { setTimeout as sleep } from 'node:timers/promises'
import { AUDIT_MS, type MemoryWorld } from './memory-world.ts'

const WITHIN_MS = 15_000

/**
 * Waits until the follower is live with a fold that equals the bucket, and stays so over two audits and one
 * more write. Gives the longest time it was live with a fold that did not, in milliseconds.
 */
export async function settled(world: MemoryWorld): Promise<number> {
  const first = await untilRight(world)
  await sleep(2 * AUDIT_MS)
  const second = await untilRight(world)
  const revision = await world.put('a.last')
  await world.follower.waitFor(revision, { timeoutMs: WITHIN_MS })
  return Math.max(first, second, await untilRight(world))
}

async function untilRight(world: MemoryWorld): Promise<number> {
  let silentMs = 0
  let lastMs = performance.now()
  const until = lastMs + WITHIN_MS
  for (;;) {
    const wrong = await world.differences()
    const nowMs = performance.now()
    const isLive = world.status.state === 'live'
    if (isLive && wrong.length === 0) return silentMs
    if (isLive) silentMs += nowMs - lastMs
    lastMs = nowMs
    if (nowMs > until)
      throw new Error(`${world.status.state} after ${WITHIN_MS} ms, with ${wrong.slice(0, 3).join('; ')}`)
    await sleep(5)
  }
}

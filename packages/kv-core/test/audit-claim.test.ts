import { expect, test } from 'vitest'
import { WatchCursor } from '../src/cursor.ts'
import { AnchorRing } from '../src/follow/anchor-ring.ts'
import { AuditClaim } from '../src/follow/audit-claim.ts'

/** What a claim comes to whose history is `same`. */
async function claimed(settled: boolean, alive: boolean): Promise<readonly unknown[]> {
  const board = { verifiedThrough: undefined, setCheck: () => undefined }
  const keeper = { figures: { cursor: WatchCursor.fromRevision(3n) } }
  const guard = { inSession: async () => 'same' as const }
  const claim = new AuditClaim(
    { board, keeper } as never,
    { scope: 'all' } as never,
    guard as never,
    { isAlive: async () => alive } as never,
  )
  const session = {
    source: { watcher: { history: {} } },
    described: { historyPerKey: 1 },
    attached: { bound: { settled, ring: new AnchorRing([], true) }, provenHistory: true },
  }
  const made = await claim.make(session as never, 3n, new AbortController().signal)
  return [made, board.verifiedThrough]
}

test.each([
  [true, false, [true, 3n]],
  [false, true, [true, 3n]],
  [false, false, [false, undefined]],
])(
  'a history that is the same proves a settled fold; another one needs a sign of life (settled: %s, alive: %s)',
  async (settled, alive, expected) => {
    expect(await claimed(settled, alive)).toEqual(expected)
  },
)

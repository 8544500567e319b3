import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KvRemovalUpdate } from '../src/entry.ts'
import { AnchorRing } from '../src/follow/anchor-ring.ts'
import { HistoryGuard } from '../src/follow/history-guard.ts'
import type { HistoryVerdict } from '../src/protocol/judge-history.ts'
import type { KvHistory } from '../src/source.ts'
import { VersionToken } from '../src/token.ts'
import { ModelBucket, type ModelMessage, type ModelOp } from './history-model.ts'
import { seed } from './seed.ts'

/** A session that goes on whatever happens to its bucket, and audits now and then. */
class Session {
  readonly bucket = new ModelBucket(1)
  readonly applied = new Map<string, ModelMessage>()
  readonly guard = new HistoryGuard()
  readonly #ring: AnchorRing
  cursor = 0n

  constructor(complete: boolean) {
    this.guard.begin()
    this.#ring = new AnchorRing([], complete)
  }

  /** Delivers what lies above the cursor, of whichever history. */
  deliver(): void {
    const delivered = this.bucket.after(this.cursor)
    for (const message of delivered) this.applied.set(message.key, message)
    this.#ring.note(
      delivered.map(({ key, revision, writtenAtMs }): KvRemovalUpdate => ({
        operation: 'delete',
        key,
        version: VersionToken.fromRevision(revision),
        writtenAtMs,
      })),
    )
    if (this.bucket.last > this.cursor) this.cursor = this.bucket.last
  }

  audit(): Promise<HistoryVerdict | undefined> {
    const { bucket } = this
    const history: KvHistory = {
      at: async (revision) => bucket.at(revision),
      newest: async (key) => bucket.newest(key),
      firstAfter: async (revision) => bucket.firstAfter(revision),
    }
    const question = {
      history,
      scope: 'all',
      historyPerKey: 1,
      signal: new AbortController().signal,
    } as const
    return this.guard.inSession({ ring: this.#ring, cursor: this.cursor }, question)
  }

  /** Whether the fold has an entry that the bucket has otherwise. */
  get isWrong(): boolean {
    return this.bucket.after(0n).some(({ key, revision }) => {
      const own = this.applied.get(key)
      const held = this.bucket.newest(key)
      return revision <= this.cursor && own !== undefined && own !== held
    })
  }
}

const key = fc.constantFrom('a', 'b', 'c', 'z')
const op: fc.Arbitrary<ModelOp | 'audit'> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ op: fc.constant('put' as const), key }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('delete', 'cleanUp', 'purgeKey'), key }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('evict' as const) }) },
  { weight: 2, arbitrary: fc.constant('audit' as const) },
)
const rewinding: fc.Arbitrary<ModelOp | 'audit'> = fc.oneof(
  { weight: 5, arbitrary: op },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constantFrom('lose', 'restore'), steps: fc.integer({ min: 1, max: 4 }) }),
  },
)

/** The verdict of the last audit, or of the first that spoke against the fold. */
async function run(
  session: Session,
  ops: readonly (ModelOp | 'audit')[],
): Promise<HistoryVerdict | undefined> {
  for (const each of ops) {
    if (each !== 'audit') {
      session.bucket.run(each)
      session.deliver()
      continue
    }
    const verdict = await session.audit()
    if (verdict === 'other' || verdict === 'differs') return verdict
  }
  return session.audit()
}

describe.each([true, false])(
  'a session that goes on over a rollback, anchors of every key: %s',
  (complete) => {
    test('is found out: what the audits say nothing against is right', async () => {
      let found = 0
      await fc.assert(
        fc.asyncProperty(fc.array(rewinding, { maxLength: 40 }), async (ops) => {
          const session = new Session(complete)
          const verdict = await run(session, ops)
          if (verdict === 'other') found++
          else expect(session.isWrong).toBe(false)
        }),
        { seed, numRuns: 3_000 },
      )
      expect(found).toBeGreaterThan(300)
    })

    test('nothing is said against a bucket that was never put back', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(op, { maxLength: 60 }), async (ops) => {
          const verdict = await run(new Session(complete), ops)
          expect(['same', 'unknown', undefined]).toContain(verdict)
        }),
        { seed, numRuns: 2_000 },
      )
    })
  },
)

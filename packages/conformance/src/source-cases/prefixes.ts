import assert from 'node:assert/strict'
import { KvError, WatchCursor, type WatchScope } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { onSource, type SourceHarness } from '../source-harness.ts'
import type { SourceSuite } from '../source-suite.ts'
import { failureOf, rejectsKv } from '../typed-errors.ts'

const needs = ({ features }: SourceSuite): string | undefined =>
  features.prefixes ? undefined : 'has no prefixes'

const KEYS = [
  'node',
  'node.a',
  'node.b',
  'node.b.c',
  'nodes.a',
  'no',
  'svc.x',
  'svc/x',
  'svc',
  'other.node.a',
]

export const prefixCases: readonly CaseTemplate<SourceSuite>[] = [
  scopeCase('token', 'a prefix that ends at a token boundary', ['node.']),
  scopeCase('inside-a-token', 'a prefix that ends inside a token is bytes, not a token', ['nod']),
  scopeCase('whole-key', 'a prefix that is itself a key', ['node']),
  scopeCase('deep', 'a prefix that ends inside the second token', ['node.b']),
  scopeCase('slash', 'a prefix that ends in a character that parts no tokens', ['svc/']),
  scopeCase('empty', 'the empty prefix is every key', ['']),
  scopeCase('several', 'several prefixes are one watch in one order', ['svc.', 'node.a', 'no']),
  scopeCase('overlapping', 'overlapping and repeated prefixes deliver each update once', [
    'node.',
    'node.b',
    'node',
    'node.',
  ]),
  scopeCase('overlapping-with-all', 'the empty prefix swallows the others', ['', 'node.', 'svc']),
  {
    id: 'prefix/resume',
    title: 'a narrow watch resumes with exactly what its scope missed',
    promise: 3,
    needs,
    run: onSource(async (harness) => {
      const versions = await harness.putAll(['in.1', 'out.1', 'in.2'])
      await harness.putAll(['out.2', 'in.3', 'out.3', 'in.4', 'out.4'])
      const session = harness.watch({ prefix: 'in.' }, { after: WatchCursor.fromToken(versions[2]!) })
      await session.receive(2)
      assert.deepEqual(session.keys(), ['in.3', 'in.4'])
    }),
  },
  {
    id: 'prefix/no-wildcards',
    title: 'characters that are wildcards elsewhere are bytes here, or refused; they never match other keys',
    promise: 1,
    needs,
    run: onSource(async (harness) => {
      await harness.putAll(KEYS)
      for (const prefix of ['node.*', '*', '>', 'node.>', '*.a']) {
        const session = harness.watch({ prefix })
        try {
          assert.deepEqual(await session.caughtUp(), [], `under ${prefix}`)
        } catch (error) {
          assert.ok(KvError.is(error), `${prefix}: ${String(error)}`)
        }
      }
    }),
  },
  {
    id: 'prefix/none-refused',
    title: 'a list of no prefixes is a TypeError',
    promise: 8,
    needs,
    run: onSource(async (harness) => {
      const error = await failureOf(async () => harness.watch({ prefixes: [] }).next(), 'no prefixes')
      assert.ok(error instanceof TypeError, String(error))
    }),
  },
  {
    id: 'prefix/absent',
    title: 'a source without prefixes refuses a narrow scope with Unsupported',
    promise: 8,
    needs: ({ features }) => (features.prefixes ? 'has prefixes' : undefined),
    run: onSource(async (harness) => {
      await rejectsKv(async () => harness.watch({ prefix: 'a' }).next(), 'Unsupported', 'a narrow watch')
    }),
  },
]

function scopeCase(name: string, title: string, prefixes: readonly string[]): CaseTemplate<SourceSuite> {
  return {
    id: `prefix/${name}`,
    title: `${title}: what existed and what is written later`,
    promise: 1,
    needs,
    run: onSource(async (harness) => {
      const scope: WatchScope = prefixes.length === 1 ? { prefix: prefixes[0]! } : { prefixes }
      const inside = KEYS.filter((key) => prefixes.some((prefix) => key.startsWith(prefix)))
      await assertScope(harness, scope, inside)
    }),
  }
}

async function assertScope(
  harness: SourceHarness,
  scope: WatchScope,
  inside: readonly string[],
): Promise<void> {
  await harness.putAll(KEYS)
  const session = harness.watch(scope)
  await session.caughtUp()
  assert.deepEqual(session.keys(), inside, 'what existed')
  await harness.putAll(KEYS)
  await session.receive(2 * inside.length)
  assert.deepEqual(session.keys(), [...inside, ...inside], 'what was written later')
}

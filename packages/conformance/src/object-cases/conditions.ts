import assert from 'node:assert/strict'
import type { ObjectCondition } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { bytesOf, onObjects, type ObjectHarness } from '../object-harness.ts'
import type { ObjectSuite } from '../object-suite.ts'
import { rejectsKv } from '../typed-errors.ts'

const RACERS = 16
const creating = ({ capabilities }: ObjectSuite): string | undefined =>
  capabilities.createOnly ? undefined : 'the store has no condition absent'
const swapping = ({ capabilities }: ObjectSuite): string | undefined =>
  capabilities.compareAndSwap ? undefined : 'the store has no condition etag'

export const conditionCases: readonly CaseTemplate<ObjectSuite>[] = [
  {
    id: 'conditions/absent',
    title: 'a put on the condition absent makes an object once, and again when it was deleted',
    promise: 14,
    needs: creating,
    run: onObjects(async (harness) => {
      for (const round of ['first', 'second']) {
        const put = await harness.store.put('once', bytesOf(round), { condition: 'absent' })
        assert.ok(put !== 'conflict', `the ${round} create`)
        assert.equal(
          await harness.store.put('once', bytesOf('other'), { condition: 'absent' }),
          'conflict',
          'a second create',
        )
        const found = await harness.read('once')
        assert.equal(new TextDecoder().decode(found!.bytes), round)
        assert.equal(found!.etag, put.etag)
        await harness.store.delete('once')
      }
    }),
  },
  {
    id: 'conditions/absent-race',
    title: 'of many who create at once exactly one does, and its object stays',
    promise: 14,
    needs: creating,
    run: onObjects(async (harness) => {
      for (const round of [1, 2, 3]) await raceFor(harness, `race-${round}`, 'absent')
    }),
  },
  {
    id: 'conditions/etag',
    title: 'a put on the condition of an etag replaces that object and no other',
    promise: 14,
    needs: swapping,
    run: onObjects(async (harness) => {
      const first = await harness.put('swapped', 'first')
      const swap = async (etag: string, text: string): Promise<string | undefined> => {
        const put = await harness.store.put('swapped', bytesOf(text), { condition: { etag } })
        return put === 'conflict' ? undefined : put.etag
      }
      const second = await swap(first, 'second')
      assert.ok(second !== undefined, 'a swap of what is there')
      assert.equal(await swap(first, 'stale'), undefined, 'a swap of what was there before')
      assert.equal(await harness.text('swapped'), 'second')
      await harness.put('swapped', 'third')
      assert.equal(await swap(second, 'stale'), undefined, 'a swap of what was replaced without a condition')
      assert.equal(await harness.text('swapped'), 'third')
      const read = await harness.read('swapped')
      assert.ok((await swap(read!.etag, 'fourth')) !== undefined, 'a swap of what was read')
      assert.equal(await harness.text('swapped'), 'fourth')
    }),
  },
  {
    id: 'conditions/etag-of-nothing',
    title: 'a swap of an object that is not there, or no longer, is a conflict and makes none',
    promise: 14,
    needs: swapping,
    run: onObjects(async (harness) => {
      const etag = await harness.put('gone', 'v')
      assert.equal(await harness.store.put('never', bytesOf('v'), { condition: { etag } }), 'conflict')
      await harness.store.delete('gone')
      assert.equal(await harness.store.put('gone', bytesOf('v'), { condition: { etag } }), 'conflict')
      assert.equal(
        await harness.store.put('gone', bytesOf('v'), { condition: { etag: 'no etag at all' } }),
        'conflict',
      )
      assert.deepEqual(await harness.names(), [])
    }),
  },
  {
    id: 'conditions/etag-race',
    title: 'of many who swap the same object exactly one does, and its object stays',
    promise: 14,
    needs: swapping,
    run: onObjects(async (harness) => {
      for (const round of [1, 2, 3]) {
        const etag = await harness.put(`race-${round}`, 'before')
        await raceFor(harness, `race-${round}`, { etag })
      }
    }),
  },
  {
    id: 'conditions/counter',
    title: 'a number that many raise by reading it and swapping it loses nothing',
    promise: 14,
    needs: swapping,
    run: onObjects(async (harness) => {
      const [workers, times] = [4, 8]
      await harness.put('number', '0')
      const raise = async (): Promise<void> => {
        for (let done = 0; done < times;) {
          const found = await harness.read('number')
          const next = Number(new TextDecoder().decode(found!.bytes)) + 1
          const put = await harness.store.put('number', bytesOf(String(next)), {
            condition: { etag: found!.etag },
          })
          if (put !== 'conflict') done++
        }
      }
      await Promise.all(Array.from({ length: workers }, raise))
      assert.equal(await harness.text('number'), String(workers * times))
    }),
  },
  {
    id: 'conditions/absent-unsupported',
    title: 'a store without the condition absent says Unsupported to it, and changes nothing',
    promise: 14,
    needs: ({ capabilities }) => (capabilities.createOnly ? 'the store has the condition absent' : undefined),
    run: onObjects((harness) => mustRefuse(harness, 'absent')),
  },
  {
    id: 'conditions/etag-unsupported',
    title: 'a store without the condition etag says Unsupported to it, and changes nothing',
    promise: 14,
    needs: ({ capabilities }) =>
      capabilities.compareAndSwap ? 'the store has the condition etag' : undefined,
    run: onObjects(async (harness) => mustRefuse(harness, { etag: await harness.put('kept', 'before') })),
  },
  {
    id: 'conditions/stated',
    title: 'the store states the capabilities that its suite does',
    promise: 14,
    run: onObjects(async (harness, { capabilities }) => {
      assert.deepEqual({ ...harness.store.capabilities }, { ...capabilities })
    }),
  },
]

async function raceFor(harness: ObjectHarness, name: string, condition: ObjectCondition): Promise<void> {
  const stores = [harness.store, harness.other]
  const results = await Promise.all(
    Array.from({ length: RACERS }, (_, i) => stores[i % 2]!.put(name, bytesOf(`racer ${i}`), { condition })),
  )
  const winners = results.flatMap((result, i) => (result === 'conflict' ? [] : [i]))
  assert.equal(winners.length, 1, `${winners.length} of ${RACERS} won`)
  assert.equal(await harness.text(name), `racer ${winners[0]}`)
}

async function mustRefuse(harness: ObjectHarness, condition: ObjectCondition): Promise<void> {
  await harness.put('kept', 'before')
  await rejectsKv(
    () => harness.store.put('kept', bytesOf('after'), { condition }),
    'Unsupported',
    'a condition without a capability',
  )
  assert.equal(await harness.text('kept'), 'before')
}

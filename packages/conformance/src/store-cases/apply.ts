import assert from 'node:assert/strict'
import { VersionToken, type KvUpdate, type SnapshotStore } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { FoldModel, assertHolds } from '../fold-model.ts'
import { SeededRandom, chooseSeed } from '../seeded-random.ts'
import { StoreHarness, onStore } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { rejectsSnapshot } from '../typed-errors.ts'
import { FIXTURE, at, del, purge, put, randomUpdates } from '../updates.ts'

export const applyCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'apply/round-trip',
    title: 'what was applied three at a time is what a reopened fold holds',
    promise: 1,
    run: onStore(async (store, harness) => {
      for (let i = 0; i < FIXTURE.length; i += 3) {
        const batch = FIXTURE.slice(i, i + 3)
        await store.apply(batch, at(i + batch.length))
      }
      assertHolds(store, FoldModel.of(FIXTURE), 'before the reopen')
      assertHolds(await harness.reopen(store), FoldModel.of(FIXTURE), 'after the reopen')
    }),
  },
  {
    id: 'apply/last-wins-in-a-batch',
    title: 'several updates of one key in one batch count in their order',
    promise: 3,
    run: onStore(async (store, harness) => {
      const batch = [
        put('a', '1', 1),
        put('a', '2', 2),
        del('b', 3),
        put('b', '4', 4),
        put('c', '5', 5),
        purge('c', 6),
      ]
      await store.apply(batch, at(6))
      assertHolds(store, FoldModel.of(batch), 'before the reopen')
      assertHolds(await harness.reopen(store), FoldModel.of(batch), 'after the reopen')
    }),
  },
  {
    id: 'apply/purge',
    title: 'a purge removes the key as a delete does',
    promise: 1,
    run: onStore(async (store, harness) => {
      const updates = [put('a', '1', 1), put('b', '2', 2), purge('a', 3)]
      await store.apply(updates.slice(0, 2), at(2))
      await store.apply(updates.slice(2), at(3))
      assert.equal(store.has('a'), false)
      const reopened = await harness.reopen(store)
      assert.deepEqual([...reopened.keys()], ['b'])
      assert.equal(reopened.cursor.revision, 3n)
    }),
  },
  {
    id: 'apply/empty-batch-commits-cursor',
    title: 'an empty batch commits the cursor and nothing else',
    promise: 2,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE.slice(0, 3), at(3))
      await store.apply([], at(9))
      assert.equal(store.cursor.revision, 9n)
      const reopened = await harness.reopen(store)
      assert.equal(reopened.cursor.revision, 9n)
      assert.equal(reopened.range('').length, 3)
    }),
  },
  {
    id: 'apply/atomic',
    title: 'a batch with one update over a limit changes nothing at all, and the handle goes on',
    promise: 1,
    needs: ({ features }) => (features.maxKeyBytes > 2 ** 24 ? 'no key is over its limit' : undefined),
    run: (suite) =>
      StoreHarness.with(suite, async (harness) => {
        const store = await harness.open()
        const before = FoldModel.of(FIXTURE)
        await store.apply(FIXTURE, at(7))
        const batch = [
          put('new', 'v', 8),
          del('node.a', 9),
          put('k'.repeat(suite.features.maxKeyBytes + 1), 'v', 10),
        ]
        await rejectsSnapshot(() => store.apply(batch, at(10)), 'LimitExceeded', 'a key over the limit')
        assertHolds(store, before, 'after the refusal')
        await store.apply([put('later', 'v', 11)], at(11))
        const after = FoldModel.of([...FIXTURE, put('later', 'v', 11)])
        assertHolds(await harness.reopen(store), after, 'after the reopen')
      }),
  },
  {
    id: 'apply/reads-see-commits-only',
    title: 'until apply resolves reads see the last commit or the next, never a part of it',
    promise: 1,
    run: onStore(async (store) => {
      const keys = Array.from({ length: 200 }, (_, i) => `key.${i}`)
      for (let round = 1; round <= 5; round++) {
        const batch = keys.map((key, i) => put(key, `${round}`, (round - 1) * 200 + i + 1))
        const applying = store.apply(batch, at(round * 200))
        assertOneCut(store, round)
        await Promise.resolve()
        assertOneCut(store, round)
        await applying
        assert.equal(store.cursor.revision, BigInt(round * 200))
      }
    }),
  },
  {
    id: 'apply/batching-is-invisible',
    title: 'the same updates in any batching give the same fold',
    promise: 1,
    run: async (suite) => {
      const updates = randomUpdates(new SeededRandom(4242), 1, 240)
      const model = FoldModel.of(updates)
      for (const size of [1, 7, 64, 240])
        await StoreHarness.with(suite, async (harness) => {
          const store = await harness.open()
          await applyInBatches(store, updates, size)
          assertHolds(store, model, `in batches of ${size}`)
          assertHolds(await harness.reopen(store), model, `in batches of ${size}, reopened`)
        })
    },
  },
  {
    id: 'apply/many-keys',
    title: 'three thousand keys in one batch, half of them deleted in the next',
    promise: 12,
    run: onStore(async (store, harness) => {
      const puts = Array.from({ length: 3_000 }, (_, i) => put(`many.${i}`, `v${i}`, i + 1))
      const dels = Array.from({ length: 1_500 }, (_, i) => del(`many.${i * 2}`, 3_001 + i))
      await store.apply(puts, at(3_000))
      await store.apply(dels, at(4_500))
      assertHolds(await harness.reopen(store), FoldModel.of([...puts, ...dels]), 'after the reopen')
    }),
  },
  {
    id: 'apply/delete-of-nothing',
    title: 'deleting a key that is not there is no error',
    promise: 3,
    run: onStore(async (store, harness) => {
      const batch = [del('never', 1), purge('ever', 2), put('a', 'v', 3)]
      await store.apply(batch, at(3))
      assertHolds(await harness.reopen(store), FoldModel.of(batch), 'after the reopen')
    }),
  },
  {
    id: 'apply/versions-of-any-length',
    title: 'versions of 0 to 10 bytes come back byte for byte',
    promise: 1,
    run: onStore(async (store, harness) => {
      const lengths = Array.from({ length: 11 }, (_, i) => i)
      const versionOf = (length: number): VersionToken =>
        VersionToken.fromBytes(Uint8Array.from({ length }, (_, i) => 0xff - i))
      const batch = lengths.map((length): KvUpdate => ({
        operation: 'put',
        key: `v.${length}`,
        value: Uint8Array.of(length),
        version: versionOf(length),
      }))
      await store.apply(batch, at(1))
      for await (const opened of harness.openAndReopened(store))
        for (const length of lengths)
          assert.equal(
            opened.get(`v.${length}`)?.version.toHex(),
            versionOf(length).toHex(),
            `${length} bytes`,
          )
    }),
  },
  {
    id: 'replay/wipe-in-mid-stream',
    title: 'a fold wiped half-way and replayed equals one that was never interrupted',
    promise: 1,
    run: async (suite) => {
      const updates = randomUpdates(new SeededRandom(77), 1, 120)
      await StoreHarness.with(suite, async (harness) => {
        const store = await harness.open()
        await applyInBatches(store, updates.slice(0, 60), 8)
        assertHolds(store, FoldModel.of(updates.slice(0, 60)), 'half-way')
      })
      await StoreHarness.with(suite, async (harness) => {
        const store = await harness.open()
        assert.equal(store.cursor.isNone, true, 'a new place is empty')
        await applyInBatches(store, updates, 11)
        assertHolds(await harness.reopen(store), FoldModel.of(updates), 'replayed')
      })
    },
  },
  {
    id: 'replay/redelivered',
    title: 'a redelivered batch changes nothing',
    promise: 3,
    run: onStore(async (store, harness) => {
      const updates = randomUpdates(new SeededRandom(5), 1, 60)
      await applyInBatches(store, updates, 20)
      await store.apply(updates.slice(40), at(60))
      assertHolds(store, FoldModel.of(updates), 'applied twice')
      const reopened = await harness.reopen(store)
      await reopened.apply(updates.slice(40), at(60))
      assertHolds(await harness.reopen(reopened), FoldModel.of(updates), 'applied again after a reopen')
    }),
  },
  {
    id: 'replay/resume',
    title: 'a fold goes on from the cursor it reopened at',
    promise: 3,
    run: async (suite) => {
      const updates = randomUpdates(new SeededRandom(chooseSeed(suite.seed)), 1, 90)
      await StoreHarness.with(suite, async (harness) => {
        let store = await harness.open()
        while (Number(store.cursor.revision ?? 0n) < updates.length) {
          const from = Number(store.cursor.revision ?? 0n)
          const batch = updates.slice(from, from + 13)
          await store.apply(batch, at(from + batch.length))
          store = await harness.reopen(store)
          assertHolds(
            store,
            FoldModel.of(updates.slice(0, from + batch.length)),
            `reopened at ${from + batch.length}`,
          )
        }
      })
    },
  },
]

/** Each key of the batch holds the same round, and the cursor belongs to it. */
function assertOneCut(store: SnapshotStore, round: number): void {
  const seen = new Set(store.range('key.').map(({ value }) => new TextDecoder().decode(value)))
  const cursor = Number(store.cursor.revision ?? 0n)
  assert.deepEqual([...seen], cursor === 0 ? [] : [`${cursor / 200}`], `values at cursor ${cursor}`)
  assert.ok(cursor === round * 200 || cursor === (round - 1) * 200, `cursor ${cursor} in round ${round}`)
}

export async function applyInBatches(
  store: SnapshotStore,
  updates: readonly KvUpdate[],
  size: number,
): Promise<void> {
  for (let i = 0; i < updates.length; i += size) {
    const batch = updates.slice(i, i + size)
    await store.apply(batch, at(i + batch.length))
  }
}

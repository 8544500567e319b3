import assert from 'node:assert/strict'
import { VersionToken, WatchCursor } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { onStore } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { FIXTURE, at, put } from '../updates.ts'

const KINDS: Readonly<Record<string, WatchCursor>> = {
  revision: WatchCursor.fromRevision(0x0102030405060708n),
  zero: WatchCursor.fromRevision(0n),
  'ten-bytes': WatchCursor.fromToken(VersionToken.fromHex('00112233445566778899')),
  'one-byte': WatchCursor.fromToken(VersionToken.fromHex('00')),
  memo: WatchCursor.fromToken(VersionToken.fromRevision(257n), { evictionSeen: true }),
  'memo-with-time': WatchCursor.fromToken(VersionToken.fromRevision(257n), {
    evictionSeen: true,
    serverTimeMs: 1_700_000_000_123n,
  }),
}

export const cursorCases: readonly CaseTemplate<StoreSuite>[] = [
  ...Object.entries(KINDS).map(([name, cursor]) => ({
    id: `cursor/${name}`,
    title: `a cursor of this form comes back byte for byte: ${cursor.toHex()}`,
    promise: 2,
    run: onStore(async (store, harness) => {
      await store.apply([put('k', 'v', 1)], cursor)
      assert.equal(store.cursor.toHex(), cursor.toHex())
      assert.equal((await harness.reopen(store)).cursor.toHex(), cursor.toHex(), 'after a reopen')
    }),
  })),
  {
    id: 'cursor/none',
    title: 'a none cursor is committed as none',
    promise: 2,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7))
      await store.apply([], WatchCursor.none)
      assert.equal(store.cursor.isNone, true)
      const reopened = await harness.reopen(store)
      assert.equal(reopened.cursor.isNone, true, 'after a reopen')
      assert.equal(reopened.range('').length, 4)
    }),
  },
  {
    id: 'cursor/none-with-memo',
    title: 'a none cursor keeps its memo',
    promise: 5,
    run: onStore(async (store, harness) => {
      const cursor = WatchCursor.fromToken(VersionToken.unknown, { evictionSeen: true })
      await store.apply([put('k', 'v', 1)], cursor)
      assert.equal((await harness.reopen(store)).cursor.toHex(), cursor.toHex())
    }),
  },
  {
    id: 'cursor/going-back',
    title: 'a lower cursor is committed as given: the store does not judge positions',
    promise: 1,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(9))
      await store.apply([put('k', 'v', 3)], at(3))
      assert.equal(store.cursor.revision, 3n)
      const reopened = await harness.reopen(store)
      assert.equal(reopened.cursor.revision, 3n, 'after a reopen')
      assert.equal(reopened.has('k'), true)
    }),
  },
  {
    id: 'cursor/never-ahead',
    title: 'the cursor moves with its data: not while apply runs, and never past what a reopen finds',
    promise: 2,
    run: onStore(async (store, harness) => {
      let opened = store
      for (let revision = 1; revision <= 12; revision++) {
        const key = `key.${revision}`
        const applying = opened.apply([put(key, 'v', revision)], at(revision))
        assert.equal(opened.cursor.revision === BigInt(revision), opened.has(key), 'cursor and data together')
        await applying
        assert.equal(opened.cursor.revision, BigInt(revision))
        assert.ok((opened.durableCursor.revision ?? 0n) <= BigInt(revision), 'durable <= applied')
        if (revision % 4 !== 0) continue
        opened = await harness.reopen(opened)
        assert.equal(opened.cursor.revision, BigInt(revision), 'after a reopen')
        assert.equal(opened.has(key), true)
      }
    }),
  },
  {
    id: 'cursor/durable-after-sync',
    title: 'sync resolves with the durable cursor, which then equals the applied one',
    promise: 2,
    needs: ({ features }) => (features.durable ? undefined : 'not durable'),
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7))
      const synced = await store.sync()
      assert.equal(synced.revision, 7n)
      assert.equal(store.durableCursor.revision, 7n)
      await store.apply([], at(8))
      assert.ok((store.durableCursor.revision ?? 0n) <= 8n)
      await store.sync()
      assert.equal(store.durableCursor.revision, 8n)
      const reopened = await harness.reopen(store)
      assert.equal(reopened.durableCursor.revision, 8n, 'what a reopen finds on disk is durable')
    }),
  },
  {
    id: 'cursor/nothing-durable',
    title: 'a fold that is not durable says so: its durable cursor stays none',
    promise: 2,
    needs: ({ features }) => (features.durable ? 'durable' : undefined),
    run: onStore(async (store) => {
      await store.apply(FIXTURE, at(7))
      assert.equal((await store.sync()).isNone, true)
      assert.equal(store.durableCursor.isNone, true)
    }),
  },
]

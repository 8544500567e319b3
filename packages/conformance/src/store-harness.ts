import type { SnapshotStore } from '@slip/kv-core'
import type { StoreFixture, StoreSuite } from './store-suite.ts'

/** A fixture whose stores are closed, and whose place is destroyed, when its case is over. */
export class StoreHarness {
  readonly fixture: StoreFixture
  readonly #suite: StoreSuite
  readonly #opened: SnapshotStore[] = []

  private constructor(suite: StoreSuite, fixture: StoreFixture) {
    this.#suite = suite
    this.fixture = fixture
  }

  static async with(suite: StoreSuite, body: (harness: StoreHarness) => Promise<void>): Promise<void> {
    const harness = new StoreHarness(suite, await suite.create())
    try {
      await body(harness)
    } catch (error) {
      await harness.#end().catch(() => {})
      throw error
    }
    await harness.#end()
  }

  async open(): Promise<SnapshotStore> {
    const store = await this.fixture.location.open()
    this.#opened.push(store)
    return store
  }

  async reopen(store: SnapshotStore): Promise<SnapshotStore> {
    await store.close()
    return this.open()
  }

  /** The store as it is, then as a reopen finds it. */
  async *openAndReopened(store: SnapshotStore): AsyncGenerator<SnapshotStore> {
    yield store
    yield await this.reopen(store)
  }

  /** A second place of the same suite. */
  async elsewhere(body: (harness: StoreHarness) => Promise<void>): Promise<void> {
    await StoreHarness.with(this.#suite, body)
  }

  async #end(): Promise<void> {
    try {
      for (const store of this.#opened) await store.close()
    } finally {
      await this.fixture.destroy()
    }
  }
}

/** The body of most cases: an open, empty store, and how to come back to it. */
export function onStore(
  body: (store: SnapshotStore, harness: StoreHarness) => Promise<void>,
): (suite: StoreSuite) => Promise<void> {
  return (suite) => StoreHarness.with(suite, async (harness) => body(await harness.open(), harness))
}

import assert from 'node:assert/strict'
import type { SnapshotStore, SnapshotView } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { FoldModel, assertHolds, assertReads, deletedOf, plain } from '../fold-model.ts'
import { SeededRandom, chooseSeed } from '../seeded-random.ts'
import { StoreHarness } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { at, randomUpdates } from '../updates.ts'

const STEPS = 150

const seeds = new WeakMap<StoreSuite, number>()

export const randomModelCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'model/random',
    title: (suite) => `random batches, reopens, views and rebuilds agree with a map (seed ${seedOf(suite)})`,
    promise: 1,
    run: (suite) =>
      StoreHarness.with(suite, async (harness) => {
        const seed = seedOf(suite)
        try {
          await new RandomWalk(harness, new SeededRandom(seed)).run(await harness.open())
        } catch (cause) {
          throw new Error(`with seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, {
            cause,
          })
        }
      }),
  },
]

/** One seed a suite, so that the title and the run agree. */
function seedOf(suite: StoreSuite): number {
  const seed = seeds.get(suite) ?? chooseSeed(suite.seed)
  seeds.set(suite, seed)
  return seed
}

class RandomWalk {
  readonly #harness: StoreHarness
  readonly #random: SeededRandom
  #model = new FoldModel()
  #revision = 0
  readonly #views: { readonly view: SnapshotView; readonly model: FoldModel }[] = []

  constructor(harness: StoreHarness, random: SeededRandom) {
    this.#harness = harness
    this.#random = random
  }

  async run(opened: SnapshotStore): Promise<void> {
    let store = opened
    for (let step = 1; step <= STEPS; step++) {
      const choice = this.#random.next()
      if (choice < 0.1) {
        this.#closeViews()
        store = await this.#harness.reopen(store)
        if (!store.features.durable) this.#model = new FoldModel()
      } else if (choice < 0.15) await store.sync()
      else if (choice < 0.22 && store.view !== undefined)
        this.#views.push({ view: store.view(), model: new FoldModel(this.#model) })
      else if (choice < 0.25 && store.stage !== undefined) await this.#rebuild(store)
      else await this.#apply(store)
      this.#check(store, `at step ${step}`)
    }
    this.#closeViews()
    const reopened = await this.#harness.reopen(store)
    if (reopened.features.durable) assertHolds(reopened, this.#model, 'at the end')
  }

  async #apply(store: SnapshotStore): Promise<void> {
    const batch = randomUpdates(this.#random, this.#revision + 1, this.#random.below(20))
    this.#revision += batch.length + 1
    const options = this.#random.chance(0.2)
      ? { lineage: this.#random.bytes(1 + this.#random.below(200)) }
      : {}
    await store.apply(batch, at(this.#revision), options)
    this.#model.apply(batch, at(this.#revision), options)
  }

  async #rebuild(store: SnapshotStore): Promise<void> {
    const staged = await store.stage!()
    const model = new FoldModel()
    const batch = randomUpdates(this.#random, this.#revision + 1, 1 + this.#random.below(30))
    this.#revision += batch.length
    const options = { lineage: this.#random.bytes(8) }
    await staged.apply(batch, at(this.#revision), options)
    model.apply(batch, at(this.#revision), options)
    if (this.#random.chance(0.5)) {
      await staged.commit()
      this.#model = model
    } else await staged.discard()
  }

  #check(store: SnapshotStore, when: string): void {
    assertHolds(store, this.#model, when)
    const [prefix, gte, lt] = [this.#random.pick(['', 'node', 'node.1', 'svc.']), this.#key(), this.#key()]
    const options = { gte, lt, reverse: this.#random.chance(0.5), limit: this.#random.below(12) }
    assert.deepEqual(
      store.range(prefix, options).map(plain),
      this.#model.range(prefix, options),
      `range(${prefix}, ${JSON.stringify(options)}) ${when}`,
    )
    if (store.features.deletedKeys)
      assert.deepEqual(deletedOf(store, prefix), this.#model.deleted(prefix), when)
    for (const { view, model } of this.#views) assertReads(view, model, `in a view, ${when}`)
  }

  #key(): string {
    const update = randomUpdates(this.#random, 1, 1)[0]!
    return update.key
  }

  #closeViews(): void {
    for (const { view } of this.#views.splice(0)) view.close()
  }
}

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { KvUpdate } from '@slip/kv-core'
import { CaseSkipped, type CaseTemplate, type Tally } from '../conformance-case.ts'
import type { DamageAnswer, DamageQuestion } from '../damage-child.ts'
import {
  cut,
  foreign,
  overwritten,
  removed,
  spliced,
  swapped,
  zeroed,
  type Damage,
  type Damager,
} from '../damages.ts'
import { contentsOfModel } from '../fold-contents.ts'
import { readFold, writeFold, type FoldFiles } from '../fold-files.ts'
import { FoldModel } from '../fold-model.ts'
import { ForkedChild } from '../forked-child.ts'
import { runCounts } from '../run-counts.ts'
import { SeededRandom, chooseSeed } from '../seeded-random.ts'
import { StoreHarness } from '../store-harness.ts'
import type { DamageRules, StoreSuite } from '../store-suite.ts'
import { at, del, put } from '../updates.ts'

const COMMITS = 20
const BATCH = 24
const KINDS = 7
/** Of whole records at a time, now and then. */
const OF_RECORDS = ['swapped', 'spliced']
/** What opening a damaged fold may be refused with. */
const REFUSALS = ['Corrupted', 'InvalidFormat', 'ForeignFold', 'NotFound', 'Io', 'Backend']

export const damageCases: readonly CaseTemplate<StoreSuite>[] = [
  damageCase('cut', cut, 'a file cut short anywhere'),
  damageCase('overwritten', overwritten, 'noise somewhere in a file'),
  damageCase('zeroed', zeroed, 'zeros in place of a piece of a file'),
  damageCase('swapped', swapped, 'two pieces of a file that changed places'),
  damageCase('spliced', spliced, 'a piece of another fold in a file'),
  damageCase('foreign', foreign, 'somebody else’s bytes in place of a file'),
  damageCase('removed', removed, 'one of several files gone'),
]

function damageCase(kind: string, damager: Damager, what: string): CaseTemplate<StoreSuite> {
  return {
    id: `damage/${kind}`,
    title: `${what}: what opens was committed, else the error is typed and the file kept; no process dies`,
    promise: 10,
    needs: ({ damage }) => (damage === undefined ? 'the suite does not say what damage does' : undefined),
    run: (suite, tally) =>
      withDamagedFolds(suite, async (folds) => {
        if (kind === 'removed' && folds.files.size < 2) throw new CaseSkipped('the fold is one file')
        const random = new SeededRandom(chooseSeed(suite.seed))
        const count = Math.ceil(runCounts(suite).damages / KINDS)
        for (let i = 0; i < count; i++)
          await folds.check(damager(folds.files, random, folds.other), kind, tally)
      }),
  }
}

class DamagedFolds {
  readonly files: FoldFiles
  readonly other: FoldFiles
  readonly #suite: StoreSuite
  readonly #rules: DamageRules
  readonly #module: string
  readonly #name: string
  readonly #scratch: string
  readonly #history: readonly KvUpdate[]
  #child: ForkedChild = ForkedChild.start('damage-child')
  #made = 0

  constructor(
    suite: StoreSuite,
    parts: { module: URL; path: string; scratch: string; folds: [FoldFiles, FoldFiles] },
  ) {
    this.#suite = suite
    this.#rules = suite.damage!
    this.#module = parts.module.href
    this.#name = basename(parts.path)
    this.#scratch = parts.scratch
    this.#history = damageHistory(1)
    this.files = parts.folds[0]
    this.other = parts.folds[1]
  }

  async check(damage: Damage, kind: string, tally: Tally): Promise<void> {
    const { detects, checkedModule } = this.#rules
    tally('damages')
    const ofRecords = OF_RECORDS.includes(kind) ? 'some' : 'all'
    await this.#open(damage, kind, this.#module, detects === 'changed' ? ofRecords : detects, tally)
    if (checkedModule !== undefined) await this.#open(damage, kind, checkedModule.href, 'all', tally)
  }

  async end(): Promise<void> {
    await this.#child.kill()
  }

  async #open(
    damage: Damage,
    kind: string,
    module: string,
    detects: Exclude<DamageRules['detects'], 'changed'>,
    tally: Tally,
  ): Promise<void> {
    const { file, bytes } = damage
    const what = `${damage.what}, opened with ${module === this.#module ? 'childModule' : 'checkedModule'}`
    const directory = join(this.#scratch, `${++this.#made}`)
    const path = join(directory, this.#name)
    const files = new Map(this.files)
    if (bytes === undefined) files.delete(file)
    else files.set(file, bytes)
    await writeFold(path, files)
    const goOnAt = detects === 'all' ? this.#history.length + 1 : undefined
    const question: DamageQuestion = { module, path, reads: detects !== 'opening', goOnAt }
    const answer = await this.#child.ask<DamageAnswer>(question).catch((error: unknown) => {
      this.#child = ForkedChild.start('damage-child')
      throw new Error(`${what}: ${String(error)}`, { cause: error })
    })
    tally(answer.code === undefined ? 'damaged folds opened' : 'damaged folds refused')
    assert.equal(answer.untyped, undefined, `${what}: a typed error`)
    if (answer.code !== undefined)
      assert.ok(REFUSALS.includes(answer.code), `${what}: one of ${REFUSALS.join(', ')}, not ${answer.code}`)
    if (!answer.opened && bytes !== undefined) await this.#isUntouched(join(path, file), bytes, what)
    if (answer.contents !== undefined && detects === 'all') this.#isRight(answer, kind, what)
    await rm(directory, { recursive: true, force: true })
  }

  async #isUntouched(path: string, bytes: Uint8Array, what: string): Promise<void> {
    const kept = await readFile(path).catch(() => undefined)
    assert.ok(
      kept !== undefined && Buffer.compare(kept, bytes) === 0,
      `${what}: a file that is refused is left as it was`,
    )
  }

  #isRight({ contents, later, recovery }: DamageAnswer, kind: string, what: string): void {
    const { features } = this.#suite
    const states = this.#statesAt(contents!.cursor)
    assert.ok(states.length > 0, `${what}: opens at a cursor that was committed, not ${contents!.cursor}`)
    const found = JSON.stringify(contents!.entries)
    const state = states.find((each) => JSON.stringify(each.range('')) === found) ?? states[0]!
    assert.deepEqual(contents, contentsOfModel(state, features), `${what}: what opened is what was committed`)
    if (kind === 'foreign' && state.cursor.isNone)
      assert.equal(
        recovery?.verdict,
        'corrupt',
        `${what}: what is not a fold is moved aside and reported, not replaced`,
      )
    if (later === undefined) return
    const next = new FoldModel(state)
    next.apply([put('after', 'damage', this.#history.length + 1)], at(this.#history.length + 1))
    assert.deepEqual(later, contentsOfModel(next, features), `${what}: and it goes on from there`)
  }

  /** The states with this cursor: one, or more where whole updates of the next commit may have been kept. */
  #statesAt(cursor: string): FoldModel[] {
    const models: FoldModel[] = []
    const model = new FoldModel()
    for (let commit = 0; commit <= COMMITS; commit++) {
      const rest = this.#history.slice(commit * BATCH, (commit + 1) * BATCH)
      if (model.cursor.toHex() === cursor) {
        models.push(new FoldModel(model))
        if (this.#rules.opensAt === 'update')
          for (let kept = 1; kept <= rest.length; kept++) {
            const torn = new FoldModel(model)
            torn.apply(rest.slice(0, kept), model.cursor)
            models.push(torn)
          }
      }
      model.apply(rest, at((commit + 1) * BATCH), { lineage: lineageOf(commit + 1) })
    }
    return models
  }
}

async function withDamagedFolds(
  suite: StoreSuite,
  body: (folds: DamagedFolds) => Promise<void>,
): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'slip-damage-'))
  try {
    const [first, second] = [await filledFold(suite, 1), await filledFold(suite, 2)]
    const folds = new DamagedFolds(suite, {
      ...first,
      scratch,
      folds: [first.files, second.files],
    })
    try {
      await body(folds)
    } finally {
      await folds.end()
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** The files of a fold that was filled and closed. */
async function filledFold(
  suite: StoreSuite,
  seed: number,
): Promise<{ module: URL; path: string; files: FoldFiles }> {
  let filled: { module: URL; path: string; files: FoldFiles } | undefined
  await StoreHarness.with(suite, async (harness) => {
    const { childModule: module, path } = harness.fixture
    if (module === undefined || path === undefined)
      throw new CaseSkipped('the fixture has no childModule and path')
    const store = await harness.open()
    const history = damageHistory(seed)
    for (let commit = 1; commit <= COMMITS; commit++)
      await store.apply(history.slice((commit - 1) * BATCH, commit * BATCH), at(commit * BATCH), {
        lineage: lineageOf(commit),
      })
    await store.close()
    filled = { module, path, files: await readFold(path) }
  })
  return filled!
}

function lineageOf(commit: number): Uint8Array {
  return new Uint8Array(40).fill(commit)
}

/** Keys and sizes are the same for every seed, values are not. */
function damageHistory(seed: number): KvUpdate[] {
  const shape = new SeededRandom(17)
  const random = new SeededRandom(seed)
  return Array.from({ length: COMMITS * BATCH }, (_, i) => {
    const key = `key.${shape.below(260)}`
    if (shape.chance(0.12)) return del(key, i + 1)
    return put(key, random.bytes(shape.chance(0.02) ? 6_000 : shape.below(160)), i + 1)
  })
}

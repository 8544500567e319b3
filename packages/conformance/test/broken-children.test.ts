import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { storeCases, type DamageRules, type StoreSuite } from '@slip/conformance'
import { afterAll, describe, expect, test } from 'vitest'
import { brokenChildren } from './broken-children.ts'
import { brokenPorts } from './broken-ports.ts'
import { countingReaders, setBackByReaders } from './broken-readers.ts'
import { compileTests } from './compile.ts'
import { failingCases } from './failing-cases.ts'
import { faultyReference, referenceSuite } from './reference-suite.ts'

const compiled = await compileTests('broken-children')
const modules = pathToFileURL(join(compiled.directory, 'broken-children.js'))
const readers = pathToFileURL(join(compiled.directory, 'broken-readers.js'))

afterAll(() => compiled.remove())

/** A store that only a process of its own shows to be broken, the case made to say so, and what it says. */
const CAUGHT: readonly [store: string, caughtBy: string, says: RegExp][] = [
  ['keeps half of a torn commit', 'damage/cut', /what opened is what was committed/],
  ['goes on after damage with what it loses at once', 'damage/cut', /it goes on from there/],
  ['believes every line that it can read', 'damage/overwritten', /bytes of noise at/],
  ['dies of damage', 'damage/zeroed', /the process ended with SIGBUS/],
  ['throws what it was thrown', 'damage/swapped', /a typed error/],
  ['believes every line that it can read', 'damage/spliced', /of another fold at/],
  ['cuts off what it cannot read and refuses', 'damage/spliced', /a file that is refused is left as it was/],
  ['starts anew over what it cannot read', 'damage/foreign', /moved aside and reported/],
  ['keeps its lineage in a file of its own, and does without', 'damage/removed', /lineage removed/],
  [
    'takes the old fold away before it puts the new one there',
    'staging/killed',
    /which was committed, or the one after/,
  ],
  ['writes the cursor, and a moment later its data', 'durability/unsynced-tail', /entries after kill/],
  ['writes nothing before it is synced', 'durability/acknowledged-apply', /was acknowledged/],
  [
    'takes a fold that another process has open',
    'lock/other-process',
    /opening what another process holds is refused/,
  ],
  ['says yes to what did not fit', 'outside/small-disk', /is refused with Io or Backend, not undefined/],
  ['ends its process when a write fails', 'outside/file-limit', /the process ended with 7/],
  ['throws what the system threw', 'outside/failing-calls', /failed with E\w+: a typed error/],
]

test('what a store does not promise of damage is not asked of it', async () => {
  const module = (store: string): URL => new URL(`?store=${encodeURIComponent(store)}`, modules)
  const honest = pathToFileURL(join(compiled.directory, 'reference-store.js'))
  const damaged = (kind: string, store: string, damage: DamageRules): Promise<void> =>
    storeCases({
      ...referenceSuite({ childModule: module(store) }),
      seed: 5,
      counts: { damages: 140 },
      damage,
    })
      .find(({ id }) => id === `damage/${kind}`)!
      .run()
  const cuts = (store: string, damage: DamageRules): Promise<void> => damaged('cut', store, damage)
  const believing = 'believes every line that it can read'
  await damaged('spliced', believing, { detects: 'changed' })
  await expect(damaged('overwritten', believing, { detects: 'changed' })).rejects.toThrow(/bytes of noise at/)
  const losing = 'goes on after damage with what it loses at once'
  await cuts(losing, { detects: 'some' })
  await cuts(losing, { detects: 'some', checkedModule: honest })
  const checked = cuts('dies when it reads', { detects: 'opening', checkedModule: module(losing) })
  await expect(checked).rejects.toThrow(/opened with checkedModule/)
  await cuts('dies when it reads', { detects: 'opening' })
  await expect(cuts('dies when it reads', { detects: 'some' })).rejects.toThrow(
    /opened with childModule.*SIGBUS/,
  )
})

/** The same for what other processes read with. */
const READERS_CAUGHT: readonly [reader: string, caughtBy: string, says: RegExp][] = [
  ['shows one commit and reads another', 'readers/one-cut', /reads that were no commit/],
  ['goes back to an older copy now and then', 'readers/never-back', /cursors that went back/],
  ['opens an older copy now and then', 'readers/come-and-go', /what those who came saw/],
  [
    'keeps something of each opening until there is no more',
    'readers/come-and-go',
    /what ended a reader[^]*'Io'/,
  ],
  ['waits for nothing', 'readers/wait-for', /a revision that does not come/],
  ['leaves a mark that only its close takes away', 'readers/killed', /too many readers/],
  ['makes a fold where there is none', 'readers/nothing-there', /NotFound|a fold afterwards/],
]

describe('each store that is broken in a process of its own is caught by the case it names', () => {
  test.each(CAUGHT)('a store that %s: %s', async (store, caughtBy, says) => {
    const childModule = new URL(`?store=${encodeURIComponent(store)}`, modules)
    const suite: StoreSuite = {
      ...referenceSuite({ childModule, spoil: (_location, path) => brokenChildren[store]!(path) }),
      seed: 5,
      // A kill that comes right behind a sync takes nothing away: one of many does not.
      counts: { damages: 140, kills: 120 },
      damage: { detects: 'all' },
      outsideFaults: true,
    }
    const named = storeCases(suite).find(({ id }) => id === caughtBy)
    await expect(named!.run()).rejects.toThrow(says)
  })
})

describe('each reader that is broken is caught by the case it names', () => {
  test.each(READERS_CAUGHT)('a reader that %s: %s', async (reader, caughtBy, says) => {
    const suite: StoreSuite = {
      ...referenceSuite({ spoil: (_location, path) => countingReaders(path) }),
      counts: { readMs: 1_500 },
      readerModule: new URL(`?reader=${encodeURIComponent(reader)}`, readers),
    }
    const named = storeCases(suite).find(({ id }) => id === caughtBy)
    await expect(named!.run()).rejects.toThrow(says)
  })

  test('a store that a reader sets back by a commit when it opens: readers/come-and-go, and no other', async () => {
    const reader = encodeURIComponent('sets the writer back by a commit when it opens')
    const cases = storeCases({
      ...referenceSuite({ spoil: (_location, path) => setBackByReaders(path) }),
      counts: { readMs: 1_500 },
      readerModule: new URL(`?reader=${reader}`, readers),
    }).filter(({ id }) => id.startsWith('readers/'))
    expect(await failingCases(cases)).toEqual(['readers/come-and-go'])
    const named = cases.find(({ id }) => id === 'readers/come-and-go')
    await expect(named!.run()).rejects.toThrow(/the writer after commit \d+/)
  })
})

describe('each store that takes a failing call the wrong way is caught by the case it names', () => {
  test.each(brokenPorts)('a store that $name', async ({ caughtBy, says, spoil }) => {
    const suite: StoreSuite = { ...referenceSuite({}), seed: 5, createFaulty: faultyReference(spoil) }
    const named = storeCases(suite).find(({ id }) => id === caughtBy)
    await expect(named!.run()).rejects.toThrow(says)
  })
})

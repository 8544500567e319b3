import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KvEntry, KvUpdate } from '../src/entry.ts'
import { ListingTally } from '../src/follow/listing-tally.ts'
import type { FoldReader } from '../src/store.ts'
import { VersionToken } from '../src/token.ts'
import { seed } from './seed.ts'

const KEYS = ['a.1', 'a.2', 'a.3', 'a.4', 'b.1', 'b.2', 'b.3']
const never = (): boolean => false

/** A bucket that keeps the newest message of each key, and a fold that follows it some steps behind. */
class World {
  readonly bucket = new Map<string, { revision: bigint; live: boolean }>()
  readonly fold = new Map<string, bigint>()
  readonly #waiting: { key: string; revision: bigint; live: boolean }[] = []
  last = 0n
  applied = 0n

  write(key: string, live: boolean): void {
    const message = { key, revision: ++this.last, live }
    this.bucket.set(key, message)
    this.#waiting.push(message)
  }

  /** Applies the next `count` updates in one commit that `tally` sees. */
  apply(count: number, tally?: ListingTally): void {
    const batch = this.#waiting.splice(0, count)
    const updates = batch.map(({ key, revision, live }) => toUpdate(key, revision, live))
    const settle = tally?.survey(updates, this.reader)
    for (const { key, revision, live } of batch) {
      if (live) this.fold.set(key, revision)
      else this.fold.delete(key)
      this.applied = revision
    }
    settle?.()
  }

  catchUp(tally?: ListingTally): void {
    while (this.#waiting.length > 0) this.apply(2, tally)
  }

  readonly reader = {
    get: (key: string): KvEntry | undefined => {
      const revision = this.fold.get(key)
      return revision === undefined
        ? undefined
        : { key, value: new Uint8Array(0), version: VersionToken.fromRevision(revision) }
    },
  } as unknown as FoldReader

  /** Live keys under a prefix above a revision, in the order of their last writes. */
  listed(prefix: string, after: bigint): { key: string; revision: bigint }[] {
    return [...this.bucket]
      .filter(([key, { revision, live }]) => live && key.startsWith(prefix) && revision > after)
      .map(([key, { revision }]) => ({ key, revision }))
      .sort((a, b) => (a.revision < b.revision ? -1 : 1))
  }
}

function toUpdate(key: string, revision: bigint, live: boolean): KvUpdate {
  const version = VersionToken.fromRevision(revision)
  return live
    ? { operation: 'put', key, version, value: new Uint8Array(0) }
    : { operation: 'delete', key, version }
}

type Fault = { readonly kind: 'gone' | 'uncovered' | 'unknown'; readonly key: string }

interface Script {
  readonly before: readonly (readonly [string, boolean])[]
  readonly fault: Fault | undefined
  /** Between the parts of the listing. */
  readonly during: readonly (readonly [string, boolean] | 'apply')[]
  readonly chunk: number
  /** Whether a listing shows what was written while it went on, or the bucket as it was at its start. */
  readonly exact: boolean
}

/** Runs a listing beside writes; gives the verdict, and whether the faulty key was written meanwhile. */
function audited({ before, fault, during, chunk, exact }: Script): { verdict: string; touched: boolean } {
  const world = new World()
  for (const [key, live] of before) world.write(key, live)
  world.catchUp()
  const faulty = fault !== undefined && inject(world, fault)
  const prefixes = ['a.', 'b.']
  const tally = new ListingTally(world.applied, world.fold.size, prefixes)
  const written = new Set<string>()
  const steps = [...during]
  const goOn = (): void => {
    for (const step of steps.splice(0, 2))
      if (step === 'apply') world.apply(1, tally)
      else {
        world.write(...step)
        written.add(step[0])
      }
  }
  const validAt = world.last
  for (const prefix of prefixes) {
    const cut = world.listed(prefix, 0n)
    let position = 0n
    for (;;) {
      // What is exact was read at once and comes in parts; what is not is read part by part.
      const part = exact ? cut.splice(0, chunk) : world.listed(prefix, position).slice(0, chunk)
      position = part.at(-1)?.revision ?? position
      goOn()
      const listedBy = world.last
      while (world.applied < listedBy) world.apply(1, tally)
      for (const { key, revision } of part) tally.judge(key, revision, world.reader, never)
      if (part.length < chunk) break
      goOn()
    }
    tally.nextListing()
  }
  return { verdict: tally.verdict(validAt), touched: (faulty && written.has(fault.key)) || !faulty }
}

/** Whether it made the fold and the bucket differ. */
function inject({ bucket, fold }: World, { kind, key }: Fault): boolean {
  const held = fold.get(key)
  if (held === undefined) return false
  if (kind === 'gone') bucket.delete(key)
  else if (kind === 'unknown') fold.delete(key)
  else if (held > 1n) bucket.set(key, { revision: held - 1n, live: true })
  return kind !== 'uncovered' || held > 1n
}

const write = fc.tuple(fc.constantFrom(...KEYS), fc.boolean())
const script = (fault: fc.Arbitrary<Fault | undefined>): fc.Arbitrary<Script> =>
  fc.record({
    before: fc.array(
      fc.tuple(
        fc.constantFrom(...KEYS),
        fc.nat(3).map((n) => n > 0),
      ),
      { maxLength: 20 },
    ),
    fault,
    during: fc.array(fc.oneof(write, fc.constant('apply' as const)), { maxLength: 30 }),
    chunk: fc.integer({ min: 1, max: 4 }),
    exact: fc.boolean(),
  })
const fault = fc.record({
  kind: fc.constantFrom('gone', 'uncovered', 'unknown'),
  key: fc.constantFrom(...KEYS),
})

describe('a listing beside writes', () => {
  test('never speaks against a fold that is right', () => {
    fc.assert(
      fc.property(script(fc.constant(undefined)), (each) => {
        expect(audited(each).verdict).toBe('equal')
      }),
      { seed, numRuns: 20_000 },
    )
  })

  test('finds a key that is gone, uncovered or missing, unless it was written meanwhile', () => {
    let found = 0
    fc.assert(
      fc.property(script(fault), (each) => {
        const { verdict, touched } = audited(each)
        if (!touched) {
          expect(verdict).toBe('rebuild')
          found++
        }
      }),
      { seed, numRuns: 20_000 },
    )
    expect(found).toBeGreaterThan(1_000)
  })
})

import assert from 'node:assert/strict'
import type { CaseTemplate } from '../conformance-case.ts'
import { onObjects } from '../object-harness.ts'
import type { ObjectSuite } from '../object-suite.ts'

const MANY = 130
const A_DAY_MS = 86_400_000

export const objectListingCases: readonly CaseTemplate<ObjectSuite>[] = [
  {
    id: 'list/complete',
    title: 'a listing has each object once, with its size',
    promise: 1,
    run: onObjects(async (harness) => {
      const names = Array.from({ length: MANY }, (_, i) => `many/${i % 7}/${i}`)
      await Promise.all(names.map((name, i) => harness.put(name, 'x'.repeat(i))))
      const listed = await harness.listed('many/')
      assert.deepEqual(
        listed.map(({ name }) => name),
        names.toSorted(),
      )
      for (const { name, size } of listed) assert.equal(size, names.indexOf(name), `the size of ${name}`)
    }),
  },
  {
    id: 'list/prefix',
    title: 'a prefix is text: it may end inside a part, and is the beginning of all that is listed',
    promise: 1,
    run: onObjects(async (harness) => {
      const names = ['a', 'ab', 'b/a', 'b/ab/c', 'b/ab/d', 'b/b', 'ba/a']
      for (const name of names) await harness.put(name, name)
      for (const prefix of ['', 'a', 'ab', 'b', 'b/', 'b/a', 'b/ab', 'b/ab/', 'b/ab/c', 'b/ab/cc', 'none/'])
        assert.deepEqual(
          await harness.names(prefix),
          names.filter((name) => name.startsWith(prefix)).toSorted(),
          `listed under ${JSON.stringify(prefix)}`,
        )
    }),
  },
  {
    id: 'list/deleted',
    title: 'what was deleted is not listed',
    promise: 1,
    run: onObjects(async (harness) => {
      for (const name of ['one', 'two', 'three']) await harness.put(name, name)
      await harness.store.delete('two')
      assert.deepEqual(await harness.names(), ['one', 'three'])
    }),
  },
  {
    id: 'list/modified',
    title: 'the time of an object is that of its last put',
    promise: 14,
    run: onObjects(async (harness) => {
      await harness.put('dated', 'before')
      const [before] = await harness.listed()
      await new Promise((resolve) => setTimeout(resolve, 1100))
      await harness.put('dated', 'after')
      const [after] = await harness.listed()
      assert.ok(
        Math.abs(Date.now() - before!.modifiedMs) < A_DAY_MS,
        `${before!.modifiedMs} are no Unix milliseconds of today`,
      )
      assert.ok(after!.modifiedMs > before!.modifiedMs, 'a second later it is younger')
    }),
  },
]

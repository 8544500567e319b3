import assert from 'node:assert/strict'
import type { CaseTemplate } from '../conformance-case.ts'
import { bytesOf, onObjects } from '../object-harness.ts'
import type { ObjectSuite } from '../object-suite.ts'

const MANY = 130
const STAYING = 40
const LISTINGS = 25
const A_DAY_MS = 86_400_000

export const objectListingCases: readonly CaseTemplate<ObjectSuite>[] = [
  {
    id: 'list/while-it-changes',
    title: 'a listing beside puts and deletes has each object that stays, or is replaced, once',
    promise: 1,
    run: onObjects(async (harness) => {
      const staying = Array.from({ length: STAYING }, (_, i) => `stays/${i}`)
      for (const name of staying) await harness.put(name, name)
      const changing = { isOver: false }
      const change = async (worker: number): Promise<void> => {
        for (let i = 0; !changing.isOver; i++) {
          await harness.other.put(`stays/${worker}`, bytesOf(`${i}`))
          await harness.other.put(`changes/${worker}/${i % 3}`, bytesOf(`${i}`))
          if (i % 2 === 1) await harness.other.delete(`changes/${worker}/${(i + 1) % 3}`)
          await harness.turn()
        }
      }
      const changes = Promise.all([change(1), change(2), change(3)])
      // Whoever fails first is told of when the listings are through.
      changes.catch(() => undefined)
      try {
        for (let listing = 0; listing < LISTINGS; listing++) {
          const names = await harness.names()
          assert.deepEqual(
            names.filter((name) => name.startsWith('stays/')),
            staying.toSorted(),
          )
          assert.equal(new Set(names).size, names.length, 'each once')
        }
      } finally {
        changing.isOver = true
      }
      await changes
    }),
  },
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

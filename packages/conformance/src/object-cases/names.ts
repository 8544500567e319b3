import assert from 'node:assert/strict'
import type { ObjectStore } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { bytesOf, onObjects } from '../object-harness.ts'
import type { ObjectSuite } from '../object-suite.ts'
import { rejectsKv } from '../typed-errors.ts'

const ODD = [
  'plain',
  'with space',
  'a.b',
  '.hidden',
  '..dots',
  'dots..',
  'per%20cent',
  'per%2Fcent',
  'plus+sign',
  'star*',
  'more>than',
  'quest?ion',
  'hash#tag',
  'amp&ersand',
  'ключ',
  'équipe/日本/🔑',
  'deep/er/and/deep/er',
  'deep/er/other',
  `${'long'.repeat(50)}/end`,
]
const HOSTILE = [
  '',
  '.',
  '..',
  '/',
  '/absolute',
  'ends/',
  'two//parts',
  '../outside',
  'a/../../outside',
  'a/./b',
  'a/..',
  'back\\slash',
  'nul\u0000',
  'line\nfeed',
  `half\ud800`,
  'x'.repeat(2000),
]

export const objectNameCases: readonly CaseTemplate<ObjectSuite>[] = [
  {
    id: 'names/kept-apart',
    title: 'names are taken as they are: each has its own object, and is listed as it was given',
    promise: 10,
    run: onObjects(async (harness) => {
      for (const name of ODD) await harness.put(name, `of ${name}`)
      for (const name of ODD) assert.equal(await harness.text(name), `of ${name}`)
      assert.deepEqual(await harness.names(), ODD.toSorted())
      for (const name of ODD) await harness.store.delete(name)
      assert.deepEqual(await harness.names(), [])
    }),
  },
  {
    id: 'names/hostile',
    title:
      'a name with parts that are empty, `.` or `..`, or with what no path can hold, is refused: InvalidKey',
    promise: 13,
    run: onObjects(async (harness) => {
      await harness.put('a', 'stays')
      for (const name of HOSTILE)
        for (const [what, call] of callsOf(harness.store))
          await rejectsKv(() => call(name), 'InvalidKey', `${what} of ${JSON.stringify(name.slice(0, 20))}`)
      for (const prefix of ['../', '/', 'a//', 'a/../', './'])
        await rejectsKv(() => drain(harness.store.list(prefix)), 'InvalidKey', `a listing of ${prefix}`)
      assert.deepEqual(await harness.names(), ['a'])
      assert.equal(await harness.text('a'), 'stays')
    }),
  },
]

function callsOf(store: ObjectStore): readonly (readonly [string, (name: string) => Promise<unknown>])[] {
  return [
    ['a get', (name) => store.get(name)],
    ['a put', (name) => store.put(name, bytesOf('hostile'))],
    ['a delete', (name) => store.delete(name)],
  ]
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

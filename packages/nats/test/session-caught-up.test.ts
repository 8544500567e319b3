import { setTimeout as wait } from 'node:timers/promises'

import { natsServerOrSkip, SERVER_MATRIX } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

import {
  ClientReceivePath,
  type ReceiveHandlers,
  type ReceivePath,
  type ReceiveSubscription,
} from '../src/session/receive-path.ts'
import { whileOverwriting } from './overwriting.ts'
import { World, type Reader } from './session-fixture.ts'

/** On a busy machine fewer sessions are tried. */
const ENOUGH_MS = 1_500
const KEYS = Array.from({ length: 3_000 }, (_, i) => `key.${i}`)

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`caught up under writers on nats-server ${version}`, () => {
    test.each([
      ['every key', 'all', KEYS.length],
      ['a scope, and the rest beside it', { prefix: 'key.' }, KEYS.length],
      ['a few keys all the time', { prefix: 'key.' }, 50],
    ] as const)(
      'what existed when the session began is there, whoever overwrites %s',
      { timeout: 60_000 },
      async (_, scope, overwritten) => {
        await using world = await World.create(version)
        await world.load(KEYS, 'x'.repeat(200))
        const subjects = KEYS.slice(0, overwritten).map((key) => `$KV.b.${key}`)
        const others = scope === 'all' ? [] : subjects.map((subject) => subject.replace('.key.', '.other.'))
        await whileOverwriting(world.server, [...subjects, ...others], async () => {
          const until = performance.now() + ENOUGH_MS
          for (let round = 0; round < 2 || (round < 8 && performance.now() < until); round++) {
            const reader = await world.read(scope).untilCaughtUp(25_000)
            expect(missing(reader, KEYS), `round ${round}`).toEqual([])
            expect(reader.batches.filter(({ batch }) => batch.caughtUp)).toHaveLength(1)
            await reader.stop()
          }
        })
      },
    )

    test('a server that says nothing is pending when much is, is not believed', async () => {
      await using world = await World.create(version)
      await world.load(KEYS, 'v')
      const path = new GatedPath(new ClientReceivePath(world.reading))
      path.passing = 999
      const reader = world.read('all', {}, world.watcher(path))
      await reader.until('999 keys', () => reader.updates.length === 999)
      await world.load(KEYS.slice(2_000, 2_010), 'again')
      path.liesAt = 1_000
      path.passing = 1_500
      await reader.until('1500 keys', () => reader.updates.length === 1_500)
      await wait(200)
      expect(reader.caughtUp).toBe(false)
      path.passing = Infinity
      await reader.untilCaughtUp()
      expect(missing(reader, KEYS)).toEqual([])
    })

    test(
      'where history is kept, messages removed from under the server’s list cost neither keys nor time',
      { timeout: 60_000 },
      async () => {
        await using world = await World.create(version, { history: 2 })
        // More than the flow-control window, so that the server still has messages of its list to send.
        const keys = Array.from({ length: 10_000 }, (_, i) => `key.${i}`)
        await world.load(keys, 'x'.repeat(4_096))
        const reader = world.read()
        let go: () => void = () => undefined
        const held = new Promise<void>((resolve) => (go = resolve))
        reader.pause = () => held
        await reader.until('something', () => reader.updates.length > 0)
        await wait(300)
        for (const value of ['y', 'z']) await world.load(keys.slice(-20), value)
        const from = performance.now()
        reader.pause = () => undefined
        go()
        await reader.untilCaughtUp(20_000)
        expect(performance.now() - from).toBeLessThan(5_000)
        expect(missing(reader, keys)).toEqual([])
        await world.publish('after', 'v')
        await reader.until('what is written later', () => reader.keys.includes('after'))
        const revisions = reader.updates.map(({ version: token }) => token.revision!)
        expect(revisions.every((revision, i) => i === 0 || revision > revisions[i - 1]!)).toBe(true)
        expect(await world.consumerCount()).toBe(1)
      },
    )
  })
}

/** The keys without an update up to the batch that says caught up. */
function missing(reader: Reader, keys: readonly string[]): string[] {
  const ready = reader.batches.findIndex(({ batch }) => batch.caughtUp)
  const seen = new Set(
    reader.batches.slice(0, ready + 1).flatMap(({ batch }) => batch.updates.map(({ key }) => key)),
  )
  return keys.filter((key) => !seen.has(key))
}

/** Lets as many deliveries pass as it is told to; one of them can be made to say that nothing is pending. */
class GatedPath implements ReceivePath {
  liesAt = 0
  readonly #path: ReceivePath
  readonly #held: (() => void)[] = []
  #passing = 0
  #count = 0

  constructor(path: ReceivePath) {
    this.#path = path
  }

  set passing(count: number) {
    this.#passing = count
    while (this.#count < this.#passing && this.#held.length > 0) this.#held.shift()!()
  }

  subscribe(subject: string, handlers: ReceiveHandlers): ReceiveSubscription {
    return this.#path.subscribe(subject, {
      ended: (error) => handlers.ended(error),
      message: (on, reply, headers, payload) => {
        const pass = (): void => {
          const text = reply === undefined ? '' : Buffer.from(reply).toString()
          const lies = text.startsWith('$JS.ACK.') && ++this.#count === this.liesAt
          handlers.message(on, lies ? Buffer.from(text.replace(/\.\d+$/, '.0')) : reply, headers, payload)
        }
        if (this.#count < this.#passing && this.#held.length === 0) pass()
        else this.#held.push(pass)
      },
    })
  }

  answer(subject: string): void {
    this.#path.answer(subject)
  }
}

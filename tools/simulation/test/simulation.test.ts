import { availableParallelism } from 'node:os'
import { describe, expect, test } from 'vitest'
import { PLANTS } from '../src/run/plants.ts'
import { brokenPromise, repeatedBy, simulator } from './program.ts'

const MINUTE = 60_000
const COUNT = Number(process.env['SLIP_SIMULATIONS'] ?? (process.env['CI'] === undefined ? 200 : 2_000))
const FROM = Number(process.env['SLIP_SEED'] ?? 1)
/** A simulation takes an eighth of a second; a machine may be forty times as slow. */
const COUNT_MS = 2 * MINUTE + COUNT * 5_000

test(
  `no promise is broken in ${COUNT} simulations from seed ${FROM}`,
  async () => {
    const workers = String(Math.min(4, availableParallelism()))
    const words = ['--count', String(COUNT), '--from', String(FROM), '--workers', workers]
    const { code, output } = await simulator(words, COUNT_MS)
    expect(code, output).toBe(0)
    process.stdout.write(output.slice(output.lastIndexOf('\n', output.length - 2) + 1))
  },
  COUNT_MS + MINUTE,
)

describe.concurrent('one seed', () => {
  test(
    'gives the same trace in another process, whatever was run before it',
    async () => {
      const inOneProcess = await simulator(['--json', '--from', '11', '--count', '4'], 5 * MINUTE)
      const traces = tracesOf(inOneProcess.output)
      expect(new Set(traces).size).toBe(4)
      for (const seed of [13, 14]) {
        const alone = await simulator(['--json', '--from', String(seed), '--count', '1'], 5 * MINUTE)
        expect(tracesOf(alone.output)).toEqual([traces[seed - 11]])
      }
    },
    15 * MINUTE,
  )

  test(
    'gives the same trace twice in one process',
    async () => {
      const { code, output } = await simulator(['--from', '100', '--count', '1'], 5 * MINUTE)
      expect(output).toContain('1 of them twice with the same trace')
      expect(code, output).toBe(0)
    },
    6 * MINUTE,
  )

  test(
    'gives its trace to read, as often as it is asked',
    async () => {
      const [first, second] = [
        await simulator(['--seed', '11', '--trace'], 5 * MINUTE),
        await simulator(['--seed', '11', '--trace'], 5 * MINUTE),
      ]
      expect(first.output.split('\n').length).toBeGreaterThan(1_000)
      expect(second.output === first.output).toBe(true)
    },
    11 * MINUTE,
  )
})

describe.concurrent('a fold in LMDB, whose files and threads are real', () => {
  const inLmdb = (...words: readonly string[]): ReturnType<typeof simulator> =>
    simulator(['--store', 'lmdb', ...words], 15 * MINUTE)

  test(
    'gives the same trace twice in one process, and in another',
    async () => {
      const { code, output } = await inLmdb('--from', '100', '--count', '1')
      expect(output).toContain('1 of them twice with the same trace')
      expect(code, output).toBe(0)
      const [again] = tracesOf((await inLmdb('--json', '--from', '100', '--count', '1')).output)
      expect(output).toContain(`trace ${again}`)
    },
    31 * MINUTE,
  )

  test(
    'that is committed after its cursor is found out',
    async () => {
      const words = ['--json', '--plant', 'cursorFirst', '--count', '30', '--failures', '1']
      const { code, output } = await inLmdb(...words)
      expect(code, output).toBe(1)
      const { failures } = JSON.parse(output.trim().split('\n').at(-1)!) as Found
      expect(PLANTS['cursorFirst']!.breaks).toContain(failures[0]!.promise)
    },
    16 * MINUTE,
  )
})

describe.concurrent('a planted bug', () => {
  const MOST_SEEDS = '150'
  const MOST_ACTIONS = 8

  test.each(Object.entries(PLANTS))(
    '%s is found, shrunk to few actions, and repeated by the command that is printed',
    async (plant, { breaks }) => {
      const words = ['--plant', plant, '--count', MOST_SEEDS, '--failures', '1']
      const found = await simulator(words, 8 * MINUTE)
      expect(found.code, found.output).toBe(1)
      const promise = brokenPromise(found.output)
      expect(breaks).toContain(promise)
      const [, shrunkTo, of] = /shrunk to (\d+) of (\d+) actions/.exec(found.output)!
      expect(Number(shrunkTo)).toBeLessThanOrEqual(MOST_ACTIONS)
      expect(Number(shrunkTo)).toBeLessThan(Number(of))

      const command = repeatedBy(found.output)
      expect(command).toContain('--keep')
      const again = await simulator(command, 2 * MINUTE)
      expect(again.code, again.output).toBe(1)
      expect(brokenPromise(again.output)).toBe(promise)

      const without = command.slice(0, command.indexOf('--plant'))
      const mended = await simulator(without, 2 * MINUTE)
      expect(mended.code, mended.output).toBe(0)
    },
    13 * MINUTE,
  )

  test(
    'that is found in a campaign is repeated by the seed alone',
    async () => {
      const { output } = await simulator(
        ['--plant', 'syncForgotten', '--count', '20', '--failures', '1'],
        5 * MINUTE,
      )
      const [, seed, words] = /FAILED seed (\d+): .*\n {2}pnpm \S+ \S+ simulate (.+)/.exec(output)!
      expect(words).toBe(`--seed ${seed} --plant syncForgotten`)
      const again = await simulator(words!.split(' '), 5 * MINUTE)
      expect(again.code, again.output).toBe(1)
    },
    11 * MINUTE,
  )
})

interface Found {
  readonly hash: string
  readonly failures: readonly { readonly promise: number }[]
}

function tracesOf(output: string): readonly string[] {
  const lines = output.trim().split('\n')
  return lines.map((line) => (JSON.parse(line) as Found).hash)
}

test.concurrent.each([
  ['nothing'],
  ['a seed that is no number', '--seed', 'x'],
  ['an unknown plant', '--seed', '1', '--plant', 'weed'],
  ['an unknown store', '--seed', '1', '--store', 'tape'],
  ['an unknown word', '--seed', '1', '--fast'],
  ['no simulations', '--count', '0'],
])(
  '%s is answered with the usage',
  async (_what, ...words) => {
    const { code, output } = await simulator(words, MINUTE)
    expect(output).toContain('usage: simulate')
    expect(code).toBe(2)
  },
  2 * MINUTE,
)

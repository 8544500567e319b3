import { protocol } from '@slip/kv-core'
import { ANCESTOR_EXPORTS, DEEP_COUNTS, PUBLISHED_COUNTS, type PublishedCount } from './ancestor-exports.ts'
import type { Configuration, WrongConfiguration } from './configuration.ts'
import { DEEP, LARGE, MEDIUM, SMALL } from './configurations.ts'
import { traceTable } from './explorer/trace-table.ts'
import { EQUIVALENT } from './mutants/equivalent.ts'
import { generatedMutants } from './mutants/generated.ts'
import { HAND_WRITTEN } from './mutants/hand-written.ts'
import { judge, type Mutant } from './mutants/mutant.ts'
import { ANCESTOR, LIMITS, WRONG_RULES } from './wrong-configurations.ts'

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const count = (n: number): string => n.toLocaleString('en').padStart(12)

/** What must hold; false when something does not. */
function holding(configurations: readonly Configuration[]): boolean {
  const totals = { states: 0, transitions: 0, seconds: 0, processor: 0 }
  let good = true
  say(`${'states'.padStart(12)} ${'transitions'.padStart(12)}  depth  seconds  processor  model`)
  for (const configuration of configurations) {
    const before = process.cpuUsage()
    const found = configuration.explore(protocol)
    const { user, system } = process.cpuUsage(before)
    const processor = (user + system) / 1e6
    totals.processor += processor
    totals.states += found.states
    totals.transitions += found.transitions
    totals.seconds += found.seconds
    say(line({ ...found, depth: String(found.depth), processor }, configuration.name))
    if (found.violation === undefined) continue
    good = false
    say(`  ${found.violation.kind}: ${found.violation.property}\n${traceTable(found.violation.trace)}`)
  }
  say(line({ ...totals, depth: '' }, 'all'))
  return good
}

/** What another explorer counted. */
function counting(published: readonly PublishedCount[]): boolean {
  let good = true
  say("\n# The ancestor's exports, as another explorer counted them")
  for (const { configuration, rules, ...counted } of published) {
    const { states, transitions, depth, seconds, violation } = configuration.explore(rules)
    const same =
      violation === undefined &&
      states === counted.states &&
      transitions + 1 === counted.generated &&
      depth === counted.depth
    good &&= same
    const expected = `${count(counted.states)} ${count(counted.generated)} ${counted.depth}`
    const verdict = same ? 'as published' : `NOT AS PUBLISHED: ${expected}`
    const figures = `${count(states)} ${count(transitions + 1)}  ${String(depth).padStart(5)}`
    say(`${figures}  ${seconds.toFixed(2).padStart(7)}  ${configuration.name}: ${verdict}`)
  }
  return good
}

interface Figures {
  readonly states: number
  readonly transitions: number
  readonly depth: string
  readonly seconds: number
  /** Processor time: what an idle machine would take. */
  readonly processor: number
}

function line({ states, transitions, depth, seconds, processor }: Figures, name: string): string {
  const times = `${seconds.toFixed(2).padStart(7)}  ${processor.toFixed(2).padStart(9)}`
  return `${count(states)} ${count(transitions)}  ${depth.padStart(5)}  ${times}  ${name}`
}

/** What must fail, by the property that is named for it. */
function failing(title: string, wrong: readonly WrongConfiguration[]): boolean {
  let good = true
  say(`\n# ${title}`)
  for (const { configuration, rules, property } of wrong) {
    const { violation } = configuration.explore(rules)
    const expected = violation?.property === property
    good &&= expected
    say(`\n${expected ? '' : 'NOT AS EXPECTED: '}${configuration.name}`)
    say(violation === undefined ? '  holds' : `  broken (${violation.kind}): ${violation.property}`)
    if (violation !== undefined) say(traceTable(violation.trace))
  }
  return good
}

function killing(mutants: readonly Mutant[]): boolean {
  const startedMs = performance.now()
  const excused = new Set(Object.keys(EQUIVALENT))
  let killed = 0
  let survivors = 0
  say('\n# Mutants')
  for (const mutant of mutants) {
    const { killedBy } = judge(mutant, SMALL, 'models')
    if (killedBy !== undefined) killed++
    else if (!excused.delete(mutant.name)) survivors++
    say(`${mutant.name}\n    ${killedBy ?? EQUIVALENT[mutant.name] ?? 'SURVIVES'}`)
  }
  for (const name of excused) say(`no such survivor: ${name}`)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  const equivalent = mutants.length - killed - survivors
  say(
    `\n${mutants.length} mutants: ${killed} killed, ${equivalent} equivalent, ${survivors} alive, ${seconds} s`,
  )
  return survivors === 0 && excused.size === 0
}

/** With a word, only the models whose names have it. */
async function run(word: string | undefined): Promise<boolean> {
  const all = [...SMALL, ...MEDIUM, ...LARGE]
  if (word !== undefined) {
    const named = ({ name }: Configuration): boolean => name.includes(word)
    const counts = [...PUBLISHED_COUNTS, ...DEEP_COUNTS]
    const verdicts = [
      holding([...all, ...DEEP].filter(named)),
      counting(counts.filter(({ configuration }) => named(configuration))),
    ]
    return verdicts.every(Boolean)
  }
  const verdicts = [
    holding(all),
    failing("The ancestor's rules", ANCESTOR),
    counting(PUBLISHED_COUNTS),
    failing("The ancestor's exports, as they were", ANCESTOR_EXPORTS),
    failing('Wrong rules, stores and sources', WRONG_RULES),
    failing('What stays outside', LIMITS),
    killing([...HAND_WRITTEN, ...(await generatedMutants())]),
  ]
  return verdicts.every(Boolean)
}

process.exitCode = (await run(process.argv[2])) ? 0 : 1
say(`${Math.round(process.resourceUsage().maxRSS / 1024)} MiB at most`)

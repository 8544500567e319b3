import { protocol } from '@slip/kv-core'
import type { Configuration, WrongConfiguration } from './configuration.ts'
import { LARGE, MEDIUM, SMALL } from './configurations.ts'
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
  const totals = { states: 0, transitions: 0, seconds: 0 }
  let good = true
  say(`${'states'.padStart(12)} ${'transitions'.padStart(12)}  depth  seconds  model`)
  for (const configuration of configurations) {
    const found = configuration.explore(protocol)
    totals.states += found.states
    totals.transitions += found.transitions
    totals.seconds += found.seconds
    say(line(found.states, found.transitions, String(found.depth), found.seconds, configuration.name))
    if (found.violation === undefined) continue
    good = false
    say(`  ${found.violation.kind}: ${found.violation.property}\n${traceTable(found.violation.trace)}`)
  }
  say(line(totals.states, totals.transitions, '', totals.seconds, 'all'))
  return good
}

function line(states: number, transitions: number, depth: string, seconds: number, name: string): string {
  return `${count(states)} ${count(transitions)}  ${depth.padStart(5)}  ${seconds.toFixed(2).padStart(7)}  ${name}`
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

const verdicts = [
  holding([...SMALL, ...MEDIUM, ...LARGE]),
  failing("The ancestor's rules", ANCESTOR),
  failing('Wrong rules, stores and sources', WRONG_RULES),
  failing('What stays outside', LIMITS),
  killing([...HAND_WRITTEN, ...(await generatedMutants())]),
]
const seconds = process.resourceUsage().userCPUTime / 1e6
say(`${seconds.toFixed(1)} s of processor time, ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`)
process.exitCode = verdicts.every(Boolean) ? 0 : 1

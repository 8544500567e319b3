import { protocol, type Protocol } from '@slip/kv-core'
import { UNIT_CHECKS } from '../checks/unit-checks.ts'
import type { Configuration } from '../configuration.ts'

/** The table with something wrong in it. */
export interface Mutant {
  readonly name: string
  readonly changes: Partial<Protocol>
}

/** What found a mutant out; undefined when nothing did. */
export interface Verdict {
  readonly mutant: Mutant
  readonly killedBy: string | undefined
}

/** Who is asked first: the models, or the checks of single decisions, which are quicker. */
export type Order = 'models' | 'checks'

/** Asks the models that use what is changed, and the checks of what is changed, until one objects. */
export function judge(mutant: Mutant, configurations: readonly Configuration[], first: Order): Verdict {
  const changed = Object.keys(mutant.changes)
  const rules: Protocol = { ...protocol, ...mutant.changes }
  const asked = configurations.filter(({ uses }) => uses.some((name) => changed.includes(name)))
  const killedBy =
    first === 'models'
      ? (byModel(rules, asked) ?? byCheck(rules, changed))
      : (byCheck(rules, changed) ?? byModel(rules, asked))
  return { mutant, killedBy }
}

function byModel(rules: Protocol, configurations: readonly Configuration[]): string | undefined {
  for (const configuration of configurations) {
    const { violation } = configuration.explore(rules)
    if (violation !== undefined)
      return `${configuration.name}: ${violation.kind} ${JSON.stringify(violation.property)}`
  }
  return undefined
}

function byCheck(rules: Protocol, changed: readonly string[]): string | undefined {
  const found = UNIT_CHECKS.find(({ of, holds }) => changed.includes(of) && !passes(() => holds(rules)))
  return found === undefined ? undefined : `check of ${found.of}: ${JSON.stringify(found.name)}`
}

function passes(holds: () => boolean): boolean {
  try {
    return holds()
  } catch {
    return false
  }
}

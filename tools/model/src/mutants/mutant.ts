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

/** Asks the models first, those that use what is changed; then the checks of single decisions. */
export function judge(mutant: Mutant, configurations: readonly Configuration[]): Verdict {
  const changed = Object.keys(mutant.changes)
  const rules: Protocol = { ...protocol, ...mutant.changes }
  for (const configuration of configurations) {
    if (!configuration.uses.some((name) => changed.includes(name))) continue
    const { violation } = configuration.explore(rules)
    if (violation !== undefined)
      return { mutant, killedBy: `${configuration.name}: ${violation.kind} ${violation.property}` }
  }
  for (const { of, name, holds } of UNIT_CHECKS)
    if (changed.includes(of) && !passes(() => holds(rules))) return { mutant, killedBy: `${of}: ${name}` }
  return { mutant, killedBy: undefined }
}

function passes(holds: () => boolean): boolean {
  try {
    return holds()
  } catch {
    return false
  }
}

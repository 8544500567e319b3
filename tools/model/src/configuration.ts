import type { Protocol } from '@slip/kv-core'
import { explore, type Exploration, type ExploreOptions } from './explorer/explore.ts'
import type { Fields } from './explorer/layout.ts'
import type { Model } from './explorer/model.ts'

/** A model of a given size, to be explored with any rules. */
export interface Configuration {
  readonly name: string
  /** The decisions it asks for. */
  readonly uses: readonly (keyof Protocol)[]
  explore(rules: Protocol, options?: ExploreOptions): Exploration
}

/** One that must fail: rules or circumstances that are wrong, and what shows it. */
export interface WrongConfiguration {
  readonly configuration: Configuration
  readonly rules: Protocol
  /** The property that is broken. */
  readonly property: string
}

export function configuration<F extends Fields>(
  uses: readonly (keyof Protocol)[],
  model: (rules: Protocol) => Model<F>,
  name: string,
): Configuration {
  return { name, uses, explore: (rules, options) => explore(model(rules), options) }
}

import type { Fields } from '../explorer/layout.ts'
import type { Model } from '../explorer/model.ts'

export type Properties<F extends Fields> = Required<Pick<Model<F>, 'always' | 'sometimes' | 'terminal'>>

/** Those of the properties whose names are chosen. */
export function asked<F extends Fields>(
  properties: Properties<F>,
  isAsked: (name: string) => boolean,
): Properties<F> {
  const only = (of: Properties<F>['always']): Properties<F>['always'] =>
    Object.fromEntries(Object.entries(of).filter(([name]) => isAsked(name)))
  const { always, sometimes, terminal } = properties
  return { always: only(always), sometimes: only(sometimes), terminal: only(terminal) }
}

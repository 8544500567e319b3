import { decodeLineage, type Binding } from '@slip/kv-core'
import { refused } from './artifact-error.ts'
import { ManifestFields } from './manifest-fields.ts'
import type { StrictJson } from './strict-json.ts'

const DIGEST = /^[0-9a-f]{64}$/

/** A binding as a manifest has it. */
export function bindingFields(binding: Binding | undefined): object | null {
  if (binding === undefined) return null
  const { kind, name, incarnation, scope, whenEvicted, emptyValues, evictionSeen } = binding
  return {
    kind,
    name,
    ...(incarnation === undefined ? {} : { incarnation }),
    scope,
    when_evicted: whenEvicted,
    empty_values: emptyValues ?? 'tombstone',
    eviction_seen: evictionSeen,
  }
}

/** The binding a manifest states, in the form `decodeLineage` gives; undefined for none. */
export function readBinding(value: StrictJson): Binding | undefined {
  if (value === null) return undefined
  const fields = new ManifestFields(value, 'binding.')
  const kind = fields.text('kind')
  const name = fields.text('name')
  const incarnation = fields.has('incarnation') ? fields.text('incarnation') : undefined
  const scope = readScope(fields)
  const whenEvicted = fields.oneOf('when_evicted', ['drop', 'keep'])
  const emptyValues = fields.oneOf('empty_values', ['tombstone', 'keep'])
  const evictionSeen = fields.flag('eviction_seen')
  fields.end()
  return {
    kind,
    name,
    ...(incarnation === undefined ? {} : { incarnation }),
    scope,
    whenEvicted,
    ...(emptyValues === 'keep' ? { emptyValues } : {}),
    evictionSeen,
  }
}

/** A lineage that cannot be read binds a fold to nothing here; the follower will say so. */
export function bindingOf(lineage: Uint8Array | undefined): Binding | undefined {
  if (lineage === undefined) return undefined
  try {
    return decodeLineage(lineage).binding
  } catch {
    return undefined
  }
}

export function sameBinding(a: Binding | undefined, b: Binding | undefined): boolean {
  return JSON.stringify(bindingFields(a)) === JSON.stringify(bindingFields(b))
}

function readScope(fields: ManifestFields): Binding['scope'] {
  const scope = fields.value('scope')
  if (Array.isArray(scope)) return fields.texts('scope')
  const digest = new ManifestFields(scope, 'binding.scope.')
  const sha256 = digest.text('sha256')
  if (!DIGEST.test(sha256)) throw refused("the manifest's binding.scope.sha256 is no digest")
  digest.end()
  return { sha256 }
}

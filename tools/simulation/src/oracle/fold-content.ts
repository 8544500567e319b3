import type { KvUpdate, SnapshotStore } from '@slip/kv-core'

/** What a fold has of one key: a value, or only the name of a key that was removed. */
export interface Held {
  /** 0 when it is not known. */
  readonly revision: number
  readonly value: string | undefined
}

/** Keys of a fold, removed ones included. */
export type FoldContent = ReadonlyMap<string, Held>

const decoder = new TextDecoder()

export function contentOf(store: SnapshotStore): FoldContent {
  const content = new Map<string, Held>()
  for (const { key, value, version } of store.entries())
    content.set(key, { revision: Number(version.revision ?? 0n), value: decoder.decode(value) })
  for (const { key, version } of store.deletedKeys?.() ?? [])
    content.set(key, { revision: Number(version.revision ?? 0n), value: undefined })
  return content
}

/** The content after one more batch. */
export function applied(content: FoldContent, updates: readonly KvUpdate[]): FoldContent {
  const next = new Map(content)
  for (const update of updates) {
    const revision = Number(update.version.revision ?? 0n)
    const value = update.operation === 'put' ? decoder.decode(update.value) : undefined
    next.set(update.key, { revision, value })
  }
  return next
}

/** What differs; undefined when nothing does. `removed`: names of removed keys count too. */
export function contentDifference(a: FoldContent, b: FoldContent, removed: boolean): string | undefined {
  for (const key of new Set([...a.keys(), ...b.keys()])) {
    const [inA, inB] = [a.get(key), b.get(key)]
    if (!removed && inA?.value === undefined && inB?.value === undefined) continue
    if (!removed && inA?.value === inB?.value && inA?.revision === inB?.revision) continue
    if (
      inA?.value !== inB?.value ||
      inA?.revision !== inB?.revision ||
      (inA === undefined) !== (inB === undefined)
    )
      return `${key}: ${describeHeld(inA)} and ${describeHeld(inB)}`
  }
  return undefined
}

export function describeHeld(held: Held | undefined): string {
  if (held === undefined) return 'nothing'
  return `${held.value === undefined ? 'removed' : JSON.stringify(held.value.slice(0, 12))}@${held.revision}`
}

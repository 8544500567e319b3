import { bytesToHex, type SnapshotStore } from '@slip/kv-core'
import { deletedOf, plain, type FoldModel, type PlainEntry } from './fold-model.ts'

/** All that a store holds, in a form that passes between processes. */
export interface FoldContents {
  readonly cursor: string
  readonly entries: readonly PlainEntry[]
  readonly deleted: readonly { readonly key: string; readonly version: string }[] | undefined
  readonly lineage: string | undefined
}

export function contentsOf(store: SnapshotStore): FoldContents {
  const { lineage, features } = store
  return {
    cursor: store.cursor.toHex(),
    entries: store.range('').map(plain),
    deleted: features.deletedKeys ? deletedOf(store) : undefined,
    lineage: lineage === undefined ? undefined : bytesToHex(lineage),
  }
}

/** What a store with these features would hold. */
export function contentsOfModel(
  model: FoldModel,
  features: { readonly deletedKeys: boolean; readonly lineage: boolean },
): FoldContents {
  return {
    cursor: model.cursor.toHex(),
    entries: model.range(''),
    deleted: features.deletedKeys ? model.deleted() : undefined,
    lineage: features.lineage ? model.lineage : undefined,
  }
}

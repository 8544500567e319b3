import type { KvUpdate } from '@slip/kv-core'
import { put } from './updates.ts'

/** All of the fold that a rebuild makes: every key of one revision, and one that no other rebuild has. */
export function rebuiltFold(revision: number): KvUpdate[] {
  const keys = Array.from({ length: 200 }, (_, i) => `r.${i}`)
  return [...keys, `only.${revision}`].map((key) => put(key, `${revision}`, revision))
}

import { bytesToHex, hexToBytes, type Binding, type PayloadRank, type WatchCursor } from '@slip/kv-core'
import { shownRank } from '../remote/remote-names.ts'

const PART = /^(none|long|(?:[0-9a-f]{2}){1,100})\/([0-9a-f]{16})-([0-9a-f]{64})$/
const MOST_HISTORY_BYTES = 100

/** Whose part it is: how the names of all parts begin that are put for an artifact. */
export function partPrefix(cursor: WatchCursor, binding: Binding | undefined): string {
  const history = new TextEncoder().encode(binding?.incarnation ?? '')
  const shown =
    history.length === 0 ? 'none' : history.length > MOST_HISTORY_BYTES ? 'long' : bytesToHex(history)
  return `${shown}/${shownRank(cursor)}`
}

/**
 * `HISTORY/RRRRRRRRRRRRRRRR-DIGEST`: the history and the rank of the artifact that it was put for, which say whether it
 * may be deleted, and what it holds.
 */
export function partName(prefix: string, digest: string): string {
  return `${prefix}-${digest}`
}

/** Whether a text from outside can be one: never a path to elsewhere. */
export function isPartName(text: string): boolean {
  return PART.test(text)
}

/** What a part holds. */
export function digestOf(part: string): string {
  return PART.exec(part)![3]!
}

/** What a part ranks by; undefined for a name that is none. */
export function rankOfPart(part: string): PayloadRank | undefined {
  const [, history, rank] = PART.exec(part) ?? []
  if (history === undefined) return undefined
  return {
    rank: history === 'long' ? undefined : BigInt(`0x${rank}`),
    incarnation: history === 'none' || history === 'long' ? undefined : textOf(history),
  }
}

function textOf(hex: string): string {
  return new TextDecoder().decode(hexToBytes(hex))
}

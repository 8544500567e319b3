import type { Recovery } from '@slip/kv-core'

/** A file that was no fold and was moved out of the way. */
export interface ForeignAside {
  readonly verdict: 'foreign'
  readonly at: 0
  readonly bytes: number
  readonly movedTo: string
}

/** What opening had to repair. */
export type Repaired = Recovery | ForeignAside

/** The same as a warning. */
export function repairedText({ verdict, at, bytes, movedTo }: Repaired): string {
  if (verdict === 'torn') return `the fold's last write was unfinished: ${bytes} bytes cut at ${at}`
  return verdict === 'foreign'
    ? `the file was no fold: kept as ${movedTo}, and a new one built`
    : `the fold was damaged at byte ${at}: kept as ${movedTo ?? 'another file'}, and rebuilt`
}

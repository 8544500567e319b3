import { shownKey } from '../output/wire.ts'
import type { Scrape } from './scrape.ts'

/** One row: what was scraped, and how fast it changes. */
export interface Row extends Omit<Scrape, 'atMs' | 'contactMs'> {
  readonly updatesPerSecond?: number | undefined
  readonly bytesPerSecond?: number | undefined
  /** How long ago there was a proof of life, seconds. */
  readonly contactSeconds?: number | undefined
}

const COLUMNS: readonly (readonly [string, (row: Row) => string])[] = [
  ['BUCKET', ({ bucket, url }) => shownKey(bucket ?? new URL(url).host)],
  ['STATE', ({ state, error }) => shownKey(error === undefined ? state : `${state} (${error})`)],
  ['REVISION', ({ revision }) => shown(revision)],
  ['LAG', ({ lag }) => shown(lag)],
  ['ENTRIES', ({ entries }) => shown(entries)],
  ['UPD/S', ({ updatesPerSecond }) => shown(updatesPerSecond)],
  ['KB/S', ({ bytesPerSecond }) => shown(bytesPerSecond === undefined ? undefined : bytesPerSecond / 1_000)],
  ['VERIFIED', ({ verified }) => shown(verified)],
  ['CONTACT', ({ contactSeconds }) => (contactSeconds === undefined ? '-' : `${contactSeconds.toFixed(1)}s`)],
  ['SESSIONS', ({ sessions }) => shown(sessions)],
  ['MB', ({ residentBytes }) => shown(residentBytes === undefined ? undefined : residentBytes / 1e6)],
]
/** The first two are names. */
const LEFT_ALIGNED = 2

/** `before`: the same follower at the look before; a counter that went back is of a new process. */
export function rowOf(now: Scrape, before: Scrape | undefined): Row {
  const { atMs, contactMs, ...rest } = now
  const seconds = before === undefined ? 0 : (atMs - before.atMs) / 1_000
  const rate = (name: 'applied' | 'deliveredBytes'): number | undefined => {
    const [to, from] = [now[name], before?.[name]]
    return to === undefined || from === undefined || to < from || seconds <= 0
      ? undefined
      : (to - from) / seconds
  }
  return {
    ...rest,
    updatesPerSecond: rate('applied'),
    bytesPerSecond: rate('deliveredBytes'),
    contactSeconds: contactMs === undefined ? undefined : Math.max(0, (atMs - contactMs) / 1_000),
  }
}

/** For people: a header and a line for each, cut to `width`. */
export function tableText(rows: readonly Row[], width: number = Infinity): string {
  const cells = [COLUMNS.map(([title]) => title), ...rows.map((row) => COLUMNS.map(([, cell]) => cell(row)))]
  const widths = COLUMNS.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)))
  return cells
    .map((row) =>
      row
        .map((cell, i) => (i < LEFT_ALIGNED ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join('  ')
        .trimEnd()
        .slice(0, width),
    )
    .join('\n')
}

function shown(value: number | undefined): string {
  return value === undefined ? '-' : Math.round(value).toLocaleString('en')
}

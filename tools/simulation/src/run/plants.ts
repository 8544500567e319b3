import { protocol, type Protocol, type SnapshotStore } from '@slip/kv-core'

/** A bug put into the product for one run, to see that it is found. */
export interface Plant {
  /** What is wrong. */
  readonly bug: string
  /** The promises it may break; which of them a seed finds first changes with the code. */
  readonly breaks: readonly number[]
  readonly rules?: Partial<Protocol>
  readonly forgetsSync?: boolean
  readonly locksNothing?: boolean
  readonly apply?: (store: SnapshotStore, ...args: Parameters<SnapshotStore['apply']>) => Promise<void>
}

const ours: Protocol = { ...protocol }

export const PLANTS: Readonly<Record<string, Plant>> = {
  cursorFirst: {
    bug: 'the cursor is committed before the data',
    breaks: [1, 2, 3, 4, 5, 6],
    apply: async (store, batch, cursor, options) => {
      await store.apply([], cursor, options)
      await store.apply(batch, cursor, options)
    },
  },
  auditSkipped: {
    bug: 'the audit always finds equal counts',
    breaks: [4],
    rules: { audit: () => 'equal' },
  },
  lineageIgnored: {
    bug: 'a bucket that was made anew or put back is resumed',
    breaks: [1, 2, 3, 4, 5, 6],
    rules: {
      attach: (input) => {
        const { fold, source, history } = input
        const { incarnation } = source
        if (fold.binding === undefined || incarnation === undefined) return ours.attach(input)
        return ours.attach({
          ...input,
          fold: { ...fold, binding: { ...fold.binding, incarnation } },
          history: history === undefined ? undefined : 'same',
        })
      },
    },
  },
  deliveryUnjudged: {
    bug: 'what was delivered before is taken for new',
    breaks: [1, 2, 3, 4, 5, 6],
    rules: { onDelivery: () => 'apply' },
  },
  failedFlushForgotten: {
    bug: 'a commit that failed counts as done',
    breaks: [1, 2, 3, 4, 6],
    rules: {
      afterFlush: (input) =>
        ours.afterFlush(input.outcome === 'commitFailed' ? { ...input, outcome: 'committed' } : input),
    },
  },
  syncForgotten: {
    bug: 'nothing is ever synced to the disk',
    breaks: [1, 2, 8, 10],
    forgetsSync: true,
  },
  lockIgnored: {
    bug: 'a lock that somebody holds is given to others too',
    breaks: [1, 2, 11],
    locksNothing: true,
  },
  watchdogAsleep: {
    bug: 'silence is never noticed',
    breaks: [7],
    rules: { watchdog: () => 'live' },
  },
}

/** Puts a plant into the protocol table, or takes it out. */
export function plantRules(plant: Plant | undefined): void {
  Object.assign(protocol, ours, plant?.rules)
}

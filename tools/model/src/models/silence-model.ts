import type { Protocol } from '@slip/kv-core'
import { Layout } from '../explorer/layout.ts'
import type { Model } from '../explorer/model.ts'

const STALE_AFTER = 2
/** Stale intervals after which a session that yields nothing is ended. */
const STUCK = 3
const LONGEST = STALE_AFTER * STUCK + 1

export type SilenceFields = {
  readonly now: number
  readonly frozen: number
  readonly stale: number
  readonly watching: number
}

/** A server that freezes at any moment, and the status of a follower that hears nothing; time in whole steps. */
export function silenceModel(rules: Protocol): Model<SilenceFields> {
  const layout = new Layout<SilenceFields>({ now: LONGEST + 1, frozen: 2, stale: 2, watching: 2 })
  return {
    name: 'silence',
    layout,
    actions: [
      {
        name: 'open a watch',
        step(s) {
          if (s.watching === 1) return false
          s.watching = 1
          s.now = 0
          s.stale = 0
          return true
        },
      },
      {
        name: 'a sign of life',
        step(s) {
          if (s.watching === 0 || s.frozen === 1) return false
          s.now = 0
          s.stale = 0
          return true
        },
      },
      {
        name: 'time passes in silence',
        step(s) {
          if (s.watching === 0 || s.frozen === 0 || s.now === LONGEST) return false
          s.now++
          const verdict = rules.watchdog({ nowMs: s.now, lastProofMs: 0, staleAfterMs: STALE_AFTER })
          s.stale = verdict === 'stale' ? 1 : 0
          if (s.stale === 1 && s.now >= STALE_AFTER * STUCK) s.watching = 0
          return true
        },
      },
      {
        name: 'the server freezes, or thaws',
        environment: true,
        step(s) {
          s.frozen = 1 - s.frozen
          return true
        },
      },
    ],
    always: {
      'silence for `staleAfterMs` is not called live': (s) => s.now < STALE_AFTER || s.stale === 1,
      'a watch that was heard of lately is not called stale': (s) => s.now >= STALE_AFTER || s.stale === 0,
      'silence for long ends the watch': (s) => s.now < STALE_AFTER * STUCK || s.watching === 0,
    },
    sometimes: {
      'a follower is stale': (s) => s.stale === 1,
      'a stale follower is heard of again': (s) => s.stale === 0 && s.watching === 1 && s.frozen === 0,
    },
    columns: {
      silent: (s) => s.now,
      server: (s) => (s.frozen === 1 ? 'frozen' : ''),
      status: (s) => (s.stale === 1 ? 'stale' : 'live'),
      watch: (s) => (s.watching === 1 ? 'open' : ''),
    },
  }
}

import type { Protocol } from '@slip/kv-core'
import { Layout, type State } from '../explorer/layout.ts'
import type { Model } from '../explorer/model.ts'

const STALE_AFTER = 2
/** Stale intervals after which a session that yields nothing is ended. */
const STUCK = 3
const LONGEST = STALE_AFTER * STUCK + 1

export type SilenceFields = {
  /** Since the server sent something. */
  readonly silent: number
  /** Since the last proof of life, as the follower has it. */
  readonly proof: number
  /** Since what waits to be taken came, and one more; 0 when nothing waits. */
  readonly waits: number
  readonly frozen: number
  readonly stale: number
  readonly watching: number
}

type SilenceState = State<SilenceFields>

/**
 * A server that freezes at any moment, and the status of a follower that hears nothing; time in whole steps. What comes
 * is taken at once, or waits until the follower has time for it.
 */
export function silenceModel(rules: Protocol): Model<SilenceFields> {
  const ages = LONGEST + 1
  const layout = new Layout<SilenceFields>({
    silent: ages,
    proof: ages,
    waits: ages + 1,
    frozen: 2,
    stale: 2,
    watching: 2,
  })
  const look = (s: SilenceState): void => {
    const verdict = rules.watchdog({ nowMs: s.proof, lastProofMs: 0, staleAfterMs: STALE_AFTER })
    s.stale = verdict === 'stale' ? 1 : 0
  }
  const taken = (s: SilenceState, receivedAtMs: number | undefined): void => {
    const lastProofMs = LONGEST - s.proof
    s.proof = LONGEST - rules.proofOfLife({ nowMs: LONGEST, lastProofMs, receivedAtMs })
    look(s)
  }
  return {
    name: 'silence',
    layout,
    actions: [
      {
        name: 'open a watch',
        step(s) {
          if (s.watching === 1) return false
          s.watching = 1
          s.silent = s.proof = s.waits = s.stale = 0
          return true
        },
      },
      {
        name: 'a sign of life',
        step(s) {
          if (s.watching === 0 || s.frozen === 1 || s.waits > 0) return false
          s.silent = 0
          taken(s, undefined)
          return true
        },
      },
      {
        name: 'a sign of life that has to wait',
        environment: true,
        step(s) {
          if (s.watching === 0 || s.frozen === 1) return false
          s.silent = 0
          s.waits = 1
          return true
        },
      },
      {
        name: 'take what waits',
        step(s) {
          if (s.waits === 0) return false
          const receivedAtMs = LONGEST - (s.waits - 1)
          s.waits = 0
          taken(s, receivedAtMs)
          return true
        },
      },
      {
        name: 'time passes',
        step(s) {
          if (s.watching === 0 || (s.frozen === 0 && s.waits === 0) || s.proof === LONGEST) return false
          s.silent++
          s.proof++
          if (s.waits > 0) s.waits++
          look(s)
          if (s.stale === 1 && s.proof >= STALE_AFTER * STUCK) s.watching = s.waits = 0
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
      'silence for `staleAfterMs` is not called live': (s) => s.silent < STALE_AFTER || s.stale === 1,
      'a watch that was heard of lately is not called stale': (s) =>
        s.silent >= STALE_AFTER || s.waits > 0 || s.watching === 0 || s.stale === 0,
      'silence for long ends the watch': (s) => s.silent < STALE_AFTER * STUCK || s.watching === 0,
    },
    sometimes: {
      'a follower is stale': (s) => s.stale === 1,
      'a stale follower is heard of again': (s) => s.stale === 0 && s.watching === 1 && s.frozen === 0,
      'what waited is older than it may be': (s) => s.waits > STALE_AFTER && s.watching === 1,
    },
    columns: {
      silent: (s) => s.silent,
      waits: (s) => (s.waits === 0 ? '' : s.waits - 1),
      server: (s) => (s.frozen === 1 ? 'frozen' : ''),
      status: (s) => (s.stale === 1 ? 'stale' : 'live'),
      watch: (s) => (s.watching === 1 ? 'open' : ''),
    },
  }
}

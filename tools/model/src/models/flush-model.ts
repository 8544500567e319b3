import type { Protocol } from '@slip/kv-core'
import type { Action, Model } from '../explorer/model.ts'
import { FlushFollower, isRunning } from './flush-follower.ts'
import {
  COLLECTING,
  DONE,
  FAILED,
  flushLayout,
  HANDED,
  RUNNING,
  WRONGS,
  type FlushFields,
  type FlushOptions,
  type FlushState,
} from './flush-state.ts'

const STAGES = ['collecting', 'applied', 'apply again', 'commit again']

/**
 * Batches from delivery through `apply` to the disk: writes that fail, tear, or fail to sync; handles
 * that are opened again; crashes and power cuts at every step.
 */
export function flushModel(options: FlushOptions, rules: Protocol): Model<FlushFields> {
  const follower = new FlushFollower(options, rules)
  const { updates, durability, damage = false, aborts = false, forgetsFailure = false } = options
  const system: Action<FlushFields>[] = [
    { name: 'open the fold', step: (s) => follower.start(s) },
    { name: 'deliver', step: (s) => follower.deliver(s) },
    { name: 'apply', step: (s) => follower.apply(s) },
    { name: 'commit', step: (s) => follower.commit(s) },
    { name: 'retry the commit', step: (s) => follower.again(s, false) },
    { name: 'close', step: (s) => follower.end(s) },
    {
      name: 'the store refuses the batch',
      step: (s) =>
        isRunning(s) && s.stage === HANDED && follower.isPoisoned(s) && follower.decide(s, 'poisoned'),
    },
  ]
  const event = (name: string, step: (s: FlushState) => boolean): Action<FlushFields> => ({
    name,
    environment: true,
    step,
  })
  const committing = (s: FlushState): boolean => isRunning(s) && s.stage === HANDED && !follower.isPoisoned(s)
  const events: Action<FlushFields>[] = [
    event('apply throws', (s) => follower.canApply(s) && follower.decide(s, 'applyFailed')),
    event('the write fails half-way', (s) => {
      if (!committing(s)) return false
      s.torn = 1
      return follower.decide(s, 'commitFailed')
    }),
    event('the budget is spent', (s) => {
      if (s.failing === 0 || s.spent === 1 || !isRunning(s)) return false
      s.spent = 1
      return true
    }),
    event('crash', (s) => {
      if (s.up === 0 || (!forgetsFailure && s.lost === 1)) return false
      die(s)
      return true
    }),
    event('power cut', (s) => {
      s.file = s.disk
      s.torn = 0
      s.lost = 0
      die(s)
      return true
    }),
  ]
  if (durability === 'synced')
    events.push(
      event('the sync fails', (s) => {
        if (!committing(s)) return false
        s.file = s.delivered
        s.lost = 1
        return follower.decide(s, 'commitFailed')
      }),
    )
  if (damage) events.push(event('the fold comes back damaged', (s) => follower.again(s, true)))
  if (aborts)
    events.push(
      event('abort', (s) => {
        if (!isRunning(s) || s.aborted === 1) return false
        s.aborted = 1
        return true
      }),
    )
  const decisions = Object.fromEntries(
    WRONGS.map((name, wrong) => [name, (s: FlushState) => s.wrong !== wrong] as const).slice(1),
  )
  return {
    name: options.name,
    layout: flushLayout(options),
    actions: [...system, ...events],
    always: {
      'durable is what the disk has': (s) => s.claimed <= s.disk,
      'applied is never ahead of delivered, nor told ahead of the store': (s) =>
        s.up === 0 || (s.memory <= s.delivered && s.told <= s.memory && s.memory <= s.file),
      'nothing is written behind a write that failed': (s) => s.hole === 0,
      'a batch is committed only where it fits': (s) => s.gap === 0,
      'apply was given all that the fold holds': (s) => (~s.given & ((1 << s.told) - 1)) === 0,
      'apply is given an update once in a life': (s) => s.twice === 0,
      ...(options.consequencesOnly === true ? {} : decisions),
    },
    sometimes: {
      ...(options.poison === undefined
        ? { 'everything is applied and durable': (s: FlushState) => s.told === updates && s.disk === updates }
        : {}),
      'a handle is replaced': (s) => s.handle === DONE,
      ...(options.reopenable === false || options.poison !== undefined
        ? { 'the follower failed': (s: FlushState) => s.ended === FAILED }
        : {}),
    },
    terminal: {
      'at rest everything is told, or the follower ended': (s) =>
        s.ended !== RUNNING || (s.up === 1 && s.told === updates),
    },
    settles: true,
    columns: {
      delivered: (s) => s.delivered,
      apply: (s) => s.given.toString(2).split('').reverse().join(''),
      fold: (s) => s.memory,
      told: (s) => s.told,
      file: (s) => `${s.file}${s.torn ? ' torn' : ''}${s.hole ? ' hole' : ''}`,
      disk: (s) => `${s.disk}${s.lost ? ' lost' : ''}`,
      durable: (s) => s.claimed,
      handle: (s) => (s.up === 0 ? 'down' : s.handle === DONE ? 'done' : 'good'),
      stage: (s) => `${STAGES[s.stage]}${s.spent ? ', spent' : ''}${s.aborted ? ', aborted' : ''}`,
      end: (s) => ['', 'ended', 'failed'][s.ended]!,
    },
  }
}

/** What a process knew is gone; what it told its caller about durability stays said. */
function die(s: FlushState): void {
  s.up = 0
  s.handle = 0
  s.memory = 0
  s.delivered = 0
  s.told = 0
  s.handed = 0
  s.life = 0
  s.stage = COLLECTING
  s.failing = 0
  s.spent = 0
  s.aborted = 0
  s.ended = RUNNING
}

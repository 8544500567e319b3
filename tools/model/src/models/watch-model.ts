import type { Protocol } from '@slip/kv-core'
import type { Action, Model } from '../explorer/model.ts'
import { Positions } from './positions.ts'
import { serverActions } from './watch-server.ts'
import {
  clear,
  dequeue,
  DOWN,
  ENDING,
  enqueue,
  IDLE,
  WATCHING,
  WatchShape,
  type WatchFields,
  type WatchOptions,
  type WatchState,
} from './watch-state.ts'

const MODES = ['down', 'idle', 'watching', 'ending']

/**
 * One follower's sessions, from the server to the fold: updates and heartbeats under way, the batch,
 * `apply`, the commit; a bucket that evicts meanwhile. No audit helps here.
 */
export function watchModel(options: WatchOptions, rules: Protocol): Model<WatchFields> {
  const shape = new WatchShape(options)
  const { messages, queue, scoped } = shape
  const positions = new Positions(options.revisions)
  const { crashes = true, resumesFrom = 'applied' } = options
  const step = (
    name: string,
    step: (s: WatchState) => boolean,
    environment = false,
  ): Action<WatchFields> => ({
    name,
    step,
    environment,
  })
  const client: Action<WatchFields>[] = [
    step('start the follower', (s) => {
      if (s.mode !== DOWN) return false
      s.mode = IDLE
      return true
    }),
    step('open the watch', (s) => {
      if (s.mode !== IDLE) return false
      const from = resumesFrom === 'applied' ? s.cursor : s.position
      const start = rules.resumeStart(positions.cursor(from))
      s.sent = start.action === 'start' ? Number(start.fromRevision) - 1 : 0
      s.position = from
      s.mode = WATCHING
      return true
    }),
    step('deliver', deliver),
    step('apply the batch', apply),
    step('commit', commit),
    step('the session is over', (s) => {
      if (s.mode !== ENDING || s.batch.at(0) !== 0 || s.position !== s.cursor) return false
      s.mode = IDLE
      return true
    }),
    step('disconnect', disconnect, true),
  ]
  const crash = step(
    'crash',
    (s) => {
      if (s.mode === DOWN) return false
      leave(s, DOWN)
      s.handed = 0
      s.suspect = 0
      return true
    },
    true,
  )
  const failure = step(
    'the commit fails, the fold is opened again without it',
    (s) => {
      if (s.handing === 0) return false
      leave(s, IDLE)
      s.suspect = 0
      return true
    },
    true,
  )
  return {
    name: options.name,
    layout: shape.layout,
    actions: [
      ...client,
      ...(crashes ? [crash] : []),
      ...(options.failures === true ? [failure] : []),
      ...serverActions(shape),
    ],
    always: {
      'what the bucket holds up to the cursor, the fold holds': (s) => holdsPrefix(s),
      'applied is never ahead of delivered': (s) => s.mode < WATCHING || s.cursor <= s.position,
      'apply is given an update once in a life': (s) => s.twice === 0,
    },
    sometimes: {
      'everything is applied': (s) => s.last === options.revisions && s.cursor === s.last,
      'an update is under way behind a full batch': (s) => s.batch.at(queue - 1) !== 0 && s.wire.at(0) !== 0,
      ...(scoped < options.keys
        ? { 'a bookmark alone moves the cursor': (s: WatchState) => s.cursor > highest(s) }
        : {}),
      ...(options.redeliveries === undefined
        ? {}
        : { 'a second delivery ends a session': (s: WatchState) => s.suspect === 1 }),
    },
    terminal: {
      'at rest everything in scope is applied': (s) =>
        s.mode === WATCHING && s.cursor === s.last && holdsPrefix(s),
      'at rest what apply made equals the fold, but for what vanished before its commit': (s) => {
        for (let k = 0; k < scoped; k++)
          if (s.view.at(k) !== s.fold.at(k) && (options.strict === true || s.owed.at(k) === 0)) return false
        return true
      },
    },
    settles: true,
    columns: {
      bucket: (s) => row(s.bucket, options.keys),
      last: (s) => s.last,
      wire: (s) => items(s.wire),
      batch: (s) => items(s.batch) + (s.handing === 1 ? ' applied' : ''),
      delivered: (s) => s.position,
      apply: (s) => `${row(s.view, scoped)} @${s.handed}`,
      fold: (s) => `${row(s.fold, scoped)} @${s.cursor}`,
      follower: (s) => `${MODES[s.mode]}${s.suspect ? ', suspect' : ''}`,
    },
  }

  function deliver(s: WatchState): boolean {
    if (s.mode !== WATCHING || s.wire.at(0) === 0 || s.batch.at(queue - 1) !== 0 || s.handing === 1)
      return false
    const number = dequeue(s.wire, queue)
    const { revision, key } = shape.item(number)
    const frontier = positions.frontier(s.position)
    if (key < 0) {
      const same = revision === s.position
      if (rules.onBookmark({ frontier, revision: positions.revision(revision), same }) === 'advance')
        s.position = revision
      return true
    }
    const suspect = s.suspect === 1
    const verdict = rules.onDelivery({ frontier, revision: positions.revision(revision), suspect })
    if (verdict === 'apply') {
      s.position = revision
      s.suspect = 0
      return enqueue(s.batch, queue, number)
    }
    s.suspect = verdict === 'reattach' ? 1 : 0
    if (verdict === 'rebuild') {
      clear(s.fold, scoped)
      s.cursor = 0
      s.handed = 0
      clear(s.batch, queue)
      s.position = 0
    }
    return end(s)
  }

  function apply(s: WatchState): boolean {
    if (s.mode < WATCHING || s.handing === 1) return false
    if (s.batch.at(0) === 0 && s.position === s.cursor) return false
    for (let at = 0; at < queue && s.batch.at(at) !== 0; at++) {
      const { revision, key, code } = shape.item(s.batch.at(at))
      const handedThrough = positions.frontier(s.handed)
      if (rules.handOver({ handedThrough, revision: positions.revision(revision) }) === 'skip') continue
      if (revision <= s.handed) s.twice = 1
      s.view.set(key, code)
    }
    s.handed = Math.max(s.handed, s.position)
    s.handing = 1
    return true
  }

  function commit(s: WatchState): boolean {
    if (s.handing === 0) return false
    for (let at = 0; at < queue && s.batch.at(at) !== 0; at++) {
      const { key, code } = shape.item(s.batch.at(at))
      s.fold.set(key, code)
      s.owed.set(key, 0)
    }
    clear(s.batch, queue)
    s.cursor = s.position
    s.handing = 0
    return true
  }

  function disconnect(s: WatchState): boolean {
    if (s.mode !== WATCHING) return false
    s.suspect = 0
    return end(s)
  }

  /** What was delivered is flushed yet. */
  function end(s: WatchState): boolean {
    clear(s.wire, queue)
    s.sent = 0
    s.mode = ENDING
    return true
  }

  function leave(s: WatchState, mode: number): void {
    for (let k = 0; k < scoped; k++) if (messages.revision(s.view.at(k)) > s.cursor) s.owed.set(k, 1)
    clear(s.wire, queue)
    clear(s.batch, queue)
    s.handing = 0
    s.sent = 0
    if (resumesFrom === 'applied') s.position = s.cursor
    s.mode = mode
  }

  function holdsPrefix(s: WatchState): boolean {
    for (let k = 0; k < scoped; k++) {
      const code = s.bucket.at(k)
      if (code !== 0 && messages.revision(code) <= s.cursor && s.fold.at(k) !== code) return false
    }
    return true
  }

  function highest(s: WatchState): number {
    let most = 0
    for (let k = 0; k < scoped; k++) most = Math.max(most, messages.revision(s.fold.at(k)))
    return most
  }

  function row(of: { at(i: number): number }, length: number): string {
    return Array.from({ length }, (_, k) => messages.show(of.at(k))).join(' ')
  }

  function items(of: { at(i: number): number }): string {
    return Array.from({ length: queue }, (_, at) => shape.item(of.at(at)))
      .filter(({ revision }) => revision > 0)
      .map(({ revision, key, code }) => (key < 0 ? `to ${revision}` : `k${key}@${messages.show(code)}`))
      .join(', ')
  }
}

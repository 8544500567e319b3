import type { Protocol } from '@slip/kv-core'
import type { Action, Model } from '../explorer/model.ts'
import { ResyncFollower } from './resync-follower.ts'
import {
  DOWN,
  LISTING,
  LIVE,
  REMOVING,
  ResyncShape,
  type ResyncFields,
  type ResyncOptions,
  type ResyncState,
} from './resync-state.ts'

const MODES = ['down', 'idle', 'live', 'listing', 'removing']

/** A fold that is made anew while its bucket changes: what `apply` is told, in which order, and what readers see. */
export function resyncModel(options: ResyncOptions, rules: Protocol): Model<ResyncFields> {
  const shape = new ResyncShape(options)
  const follower = new ResyncFollower(shape, rules)
  const { messages } = shape
  const keys = Array.from({ length: options.keys }, (_, k) => k)
  const { crashes = true, discards = 0, strict = false } = options
  const step = (
    name: string,
    step: (s: ResyncState) => boolean,
    environment = false,
  ): Action<ResyncFields> => ({
    name,
    environment,
    step(s) {
      if (!step(s)) return false
      shape.note(s)
      return true
    },
  })
  const write = (s: ResyncState, k: number, marker: boolean): boolean => {
    if (s.last === options.revisions) return false
    s.last++
    s.bucket.set(k, messages.code(s.last, 0, marker))
    s.had.set(k, 0)
    return true
  }
  const shown = (code: number): number => (messages.isLive(code) ? code : 0)
  return {
    name: options.name,
    layout: shape.layout,
    actions: [
      step('start the follower', (s) => follower.start(s)),
      step('attach', (s) => follower.attach(s)),
      step('deliver', (s) => follower.deliver(s)),
      step('bookmark', (s) => follower.bookmark(s)),
      step('all is listed', (s) => follower.listed(s)),
      step('hand over a removal', (s) => follower.remove(s)),
      step('audit', (s) => follower.audit(s)),
      step('disconnect', (s) => follower.disconnect(s), true),
      ...(crashes ? [step('crash', (s) => follower.crash(s), true)] : []),
      ...(discards > 0
        ? [
            step('the staged fold is lost', (s) => follower.discard(s, false), true),
            step('the staged fold is lost with what is in flight', (s) => follower.discard(s, true), true),
            step('the swap fails', (s) => follower.failToSwap(s, false), true),
            step('the swap fails, but went through', (s) => follower.failToSwap(s, true), true),
          ]
        : []),
      ...keys.map((k) => step(`put k${k}`, (s) => write(s, k, false), true)),
      ...keys.map((k) =>
        step(`delete k${k}`, (s) => messages.isLive(s.bucket.at(k)) && write(s, k, true), true),
      ),
      ...keys.map((k) =>
        step(
          `k${k} vanishes`,
          (s) => {
            if (s.bucket.at(k) === 0) return false
            s.bucket.set(k, 0)
            return true
          },
          true,
        ),
      ),
    ],
    always: {
      'what a reader saw, and the bucket still has, does not disappear': (s) =>
        keys.every((k) => s.had.at(k) === 0 || s.fold.at(k) === s.bucket.at(k)),
      'what the bucket holds up to the cursor, the fold holds': (s) =>
        keys.every((k) => {
          const code = s.bucket.at(k)
          return code === 0 || messages.revision(code) > s.cursor || s.fold.at(k) === code
        }),
    },
    sometimes: {
      'a key vanishes, and comes back while the new fold is made': (s) =>
        s.mode === REMOVING &&
        keys.some(
          (k) => s.had.at(k) === 0 && messages.isLive(s.fold.at(k)) && messages.isLive(s.staged.at(k)),
        ),
      'a new fold took the place of the old one': (s) => s.swapped === 1 && s.mode === LIVE,
      ...(crashes
        ? {
            'a rebuild was cut off': (s: ResyncState) =>
              s.mode === DOWN && keys.some((k) => s.owed.at(k) === 1),
          }
        : {}),
      'a listing is under way': (s) => s.mode === LISTING && s.sent > 0,
    },
    terminal: {
      'at rest the fold equals the bucket': (s) =>
        s.mode === LIVE && keys.every((k) => shown(s.bucket.at(k)) === shown(s.fold.at(k))),
      'at rest what apply made equals the fold, but for what vanished before its commit': (s) =>
        keys.every((k) => shown(s.view.at(k)) === shown(s.fold.at(k)) || (!strict && s.owed.at(k) === 1)),
    },
    settles: true,
    columns: {
      bucket: (s) => row(s.bucket),
      last: (s) => s.last,
      fold: (s) => `${row(s.fold)} @${s.cursor}`,
      staged: (s) => (s.rebuilding === 0 ? '' : `${row(s.staged)} @${s.stagedCursor}`),
      apply: (s) => row(s.view),
      follower: (s) => `${MODES[s.mode]}${s.mode === REMOVING ? ` ${s.removing}` : ''}`,
    },
  }

  function row(of: { at(i: number): number }): string {
    return keys.map((k) => messages.show(of.at(k))).join(' ')
  }
}

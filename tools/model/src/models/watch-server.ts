import type { Action } from '../explorer/model.ts'
import { enqueue, WATCHING, type WatchFields, type WatchShape, type WatchState } from './watch-state.ts'

/** Writers, retention, and the server's end of the watch. */
export function serverActions(shape: WatchShape): Action<WatchFields>[] {
  const { options, messages, queue, scoped } = shape
  const keys = Array.from({ length: options.keys }, (_, k) => k)
  const each = (name: string, step: (k: number) => Action<WatchFields>['step']): Action<WatchFields>[] =>
    keys.map((k) => ({ name: `${name} k${k}`, environment: true, step: step(k) }))
  const retention: Action<WatchFields>[] = [
    { name: 'the oldest is evicted', environment: true, step: (s) => evict(shape, s) },
    ...each('clean marker of', (k) => (s) => {
      const code = s.bucket.at(k)
      if (code === 0 || messages.isLive(code)) return false
      s.bucket.set(k, 0)
      return true
    }),
  ]
  const again: Action<WatchFields>[] = each('send again', (k) => (s) => {
    if (s.mode !== WATCHING || k >= scoped || s.redeliveries === (options.redeliveries ?? 0)) return false
    const code = s.bucket.at(k)
    if (code === 0 || messages.revision(code) > s.sent) return false
    s.redeliveries++
    return enqueue(s.wire, queue, shape.update(k, code))
  })
  return [
    ...each('put', (k) => (s) => write(shape, s, k, false)),
    ...each('delete', (k) => (s) => messages.isLive(s.bucket.at(k)) && write(shape, s, k, true)),
    ...(options.retention === true ? retention : []),
    ...(options.redeliveries === undefined ? [] : again),
    { name: 'send', step: (s) => send(shape, s) },
    { name: 'send a heartbeat', step: (s) => beat(shape, s) },
    { name: 'send a late heartbeat', environment: true, step: (s) => lateBeat(shape, s) },
  ]
}

function write({ options, messages }: WatchShape, s: WatchState, k: number, marker: boolean): boolean {
  if (s.last === options.revisions) return false
  s.last++
  s.bucket.set(k, messages.code(s.last, 0, marker))
  return true
}

function evict({ options, messages }: WatchShape, s: WatchState): boolean {
  let oldest = -1
  for (let k = 0; k < options.keys; k++) {
    const code = s.bucket.at(k)
    if (code !== 0 && (oldest < 0 || messages.revision(code) < messages.revision(s.bucket.at(oldest))))
      oldest = k
  }
  if (oldest < 0) return false
  s.bucket.set(oldest, 0)
  return true
}

function send(shape: WatchShape, s: WatchState): boolean {
  if (s.mode !== WATCHING) return false
  const key = shape.nextAfter(s)
  if (key < 0 || s.wire.at(shape.queue - 1) !== 0) return false
  const code = s.bucket.at(key)
  s.sent = shape.messages.revision(code)
  return enqueue(s.wire, shape.queue, shape.update(key, code))
}

/** Says that all of the stream was sent, once for each position. */
function beat(shape: WatchShape, s: WatchState): boolean {
  const { bookmarks = 'sent' } = shape.options
  if (s.mode !== WATCHING || s.sent >= s.last || s.wire.at(shape.queue - 1) !== 0) return false
  if (shape.nextAfter(s) >= 0 && bookmarks === 'sent') return false
  if (bookmarks === 'sent') s.sent = s.last
  else if (s.position >= s.last) return false
  return enqueue(s.wire, shape.queue, shape.bookmark(s.last))
}

/** Says what was true a moment ago. */
function lateBeat(shape: WatchShape, s: WatchState): boolean {
  if (s.mode !== WATCHING || s.sent < 2 || s.wire.at(0) !== 0) return false
  return enqueue(s.wire, shape.queue, shape.bookmark(s.sent - 1))
}

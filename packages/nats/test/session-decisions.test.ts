import { scopeCovers, scopePrefixes, VersionToken, WatchCursor } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'

import { watchConsumer } from '../src/session/consumer-config.ts'
import { DeliveryDecoder, timeToLiveMs, type DecodeRules } from '../src/session/delivery.ts'
import { covered, scopeFilters } from '../src/session/filters.ts'
import {
  DEAD_AFTER_MS,
  FIRST_WORD_MS,
  MANY_PENDING,
  PROBE_AFTER_MS,
  Silence,
  TICK_MS,
  type SilenceVerdict,
} from '../src/session/heartbeat.ts'
import { Intake } from '../src/session/intake.ts'
import type { BucketContext } from '../src/bucket-context.ts'
import { readHeaders } from '../src/session/message-headers.ts'
import { PullRequest } from '../src/session/pull-request.ts'
import { emptyPosition, readReplySubject } from '../src/session/reply-subject.ts'
import { expiredStart, lineageError, streamFacts } from '../src/session/stream-facts.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('the reply subject of a delivery', () => {
  const short = '$JS.ACK.KV_b.slip_X.1.812.40.1760000000123456789.7'
  const long = '$JS.ACK.hub.aCcHash.KV_b.slip_X.1.812.40.1760000000123456789.7'

  test.each([short, long, `${long}.random`, `${long}.random.more`])('%s is read', (reply) => {
    const position = emptyPosition()
    expect(readReplySubject(bytes(reply), position)).toBe(true)
    expect(position).toEqual({
      streamSequence: 812,
      consumerSequence: 40,
      timestampMs: 1_760_000_000_123,
      pending: 7,
    })
  })

  test.each([
    '',
    '$JS.ACK.',
    '$JS.FC.KV_b.slip_X.abc',
    '_INBOX.a.b.c.d.e.f.g.h',
    `${short}.x`,
    short.replace('.812.', '.8x2.'),
    short.replace('.40.', '..'),
    short.replace('.812.', '.0.'),
  ])('%s is not a delivery', (reply) => {
    expect(readReplySubject(bytes(reply), emptyPosition())).toBe(false)
  })
})

describe('headers', () => {
  test('a status line and fields by lower-case name, the first of a repeated one', () => {
    const block = bytes('NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 5\r\nX: a:b \r\nx: c\r\n\r\n')
    const { status, description, fields } = readHeaders(block)
    expect({ status, description }).toEqual({ status: 100, description: 'Idle Heartbeat' })
    expect([...fields]).toEqual([
      ['nats-last-consumer', '5'],
      ['x', 'a:b'],
    ])
  })

  test('hostile blocks have no status and no fields', () => {
    for (const text of ['', 'NATS/1.0', 'NATS/1.0\r\n\r\n', ':\r\n:::', 'HTTP/1.1 100 x', 'NATS/1.0 abc'])
      expect(readHeaders(bytes(text))).toMatchObject({ status: 0 })
  })
})

describe('what a message is', () => {
  const rules: DecodeRules = {
    subjectPrefix: '$KV.b.',
    prefixes: undefined,
    emptyValues: 'tombstone',
    messageTtls: true,
    maxAgeMs: undefined,
  }
  const position = { streamSequence: 9, consumerSequence: 1, timestampMs: 1_000_000, pending: 0 }
  const decode = (
    headers: string | undefined,
    value: string,
    changed: Partial<DecodeRules> = {},
    key = 'k',
  ) =>
    new DeliveryDecoder({ ...rules, ...changed }).decode(
      bytes(`$KV.b.${key}`),
      headers === undefined ? undefined : bytes(`NATS/1.0\r\n${headers}\r\n\r\n`),
      bytes(value),
      position,
    )

  test('a marker of any reason is a removal, whatever it carries', () => {
    expect(decode('Nats-Marker-Reason: MaxAge', '')).toMatchObject({ operation: 'delete', reason: 'expired' })
    expect(decode('Nats-Marker-Reason: Purge', '')).toMatchObject({ operation: 'purge' })
    expect(decode('Nats-Marker-Reason: Remove', '')).toMatchObject({ operation: 'delete' })
    expect(decode('Nats-Marker-Reason: Remove', '')).not.toHaveProperty('reason')
    expect(decode('Nats-Marker-Reason: Later', 'x', { emptyValues: 'keep' })).toMatchObject({
      operation: 'delete',
    })
  })

  test('an operation header wins over the value, an unknown one does not', () => {
    expect(decode('KV-Operation: DEL', 'x')).toMatchObject({ operation: 'delete' })
    expect(decode('KV-Operation: PURGE\r\nNats-Rollup: sub', '')).toMatchObject({ operation: 'purge' })
    expect(decode('KV-Operation: PUT', 'x')).toMatchObject({ operation: 'put' })
  })

  test('an expiry is the earlier of the message’s TTL, where the bucket honours it, and the age limit', () => {
    const expiry = (headers: string | undefined, changed: Partial<DecodeRules>) => {
      const update = decode(headers, 'x', changed)
      return typeof update === 'object' && update.operation === 'put' ? update.expiresAtMs : undefined
    }
    expect(expiry('Nats-TTL: 90s', {})).toBe(1_090_000)
    expect(expiry('Nats-TTL: 90', {})).toBe(1_090_000)
    expect(expiry('Nats-TTL: 90s', { messageTtls: false })).toBeUndefined()
    expect(expiry('Nats-TTL: 90s', { maxAgeMs: 10_000 })).toBe(1_010_000)
    expect(expiry('Nats-TTL: 5s', { maxAgeMs: 10_000 })).toBe(1_005_000)
    expect(expiry('Nats-TTL: never', { maxAgeMs: 10_000 })).toBe(1_010_000)
    expect(expiry(undefined, { maxAgeMs: 10_000 })).toBe(1_010_000)
  })

  test('durations', () => {
    expect(timeToLiveMs('1h30m')).toBe(5_400_000)
    expect(timeToLiveMs('1m0.5s')).toBe(60_500)
    for (const text of [undefined, '', 'never', '0', '-5', '5x', 's'])
      expect(timeToLiveMs(text)).toBeUndefined()
  })

  test('the local filter is by bytes', () => {
    expect(decode(undefined, 'x', { prefixes: ['no', 'é'] }, 'nodes')).toMatchObject({ key: 'nodes' })
    expect(decode(undefined, 'x', { prefixes: ['no', 'é'] }, 'é.1')).toMatchObject({ key: 'é.1' })
    expect(decode(undefined, 'x', { prefixes: ['no'] }, 'n')).toBe('outOfScope')
  })
})

describe('filters', () => {
  const filters = (...prefixes: string[]) => scopeFilters('$KV.b.', { prefixes })

  test('a scope is narrowed to whole tokens and the rest is left to us', () => {
    expect(filters('a.b.')).toMatchObject({ subjects: ['$KV.b.a.b.>'], exact: true })
    expect(filters('a.b')).toMatchObject({ subjects: ['$KV.b.a.>'], exact: false })
    expect(filters('node')).toMatchObject({ subjects: ['$KV.b.>'], exact: false })
    expect(scopeFilters('$KV.b.', 'all')).toMatchObject({ subjects: ['$KV.b.>'], exact: true })
  })

  test('filters never overlap', () => {
    expect(filters('a.b', 'a.c.', 'z.')).toMatchObject({ subjects: ['$KV.b.a.>', '$KV.b.z.>'], exact: false })
    expect(filters('a.', 'a.b.', 'node')).toMatchObject({ subjects: ['$KV.b.>'], exact: false })
  })

  test('a wildcard, an empty or an unsendable token ends what the server is asked', () => {
    for (const prefix of ['a.*.x.', 'a.>.', 'a..b.', 'a.x y.', 'a.\u0000.'])
      expect(filters(prefix)).toMatchObject({ subjects: ['$KV.b.a.>'], exact: false })
  })

  test('a filter fits into one protocol line', () => {
    const token = 'é'.repeat(700)
    expect(filters(`${token}.${token}.`)).toMatchObject({ subjects: [`$KV.b.${token}.>`], exact: false })
  })

  test('a key is looked up among many prefixes as if each were tried', () => {
    const parts = ['', 'a', 'b', '\u{10000}', '\uffff', 'é', 'z', '.']
    const words = parts.flatMap((x) => parts.flatMap((y) => parts.map((z) => x + y + z)))
    for (let i = 0; i < words.length; i++) {
      const prefixes = scopePrefixes({
        prefixes: words.filter((word, j) => word !== '' && (j * 31 + i) % 11 === 0),
      })
      expect(words.filter((key) => covered(prefixes, key) !== scopeCovers(prefixes, key))).toEqual([])
    }
  })

  test('above 300 filters there is none', () => {
    const many = (count: number) => filters(...Array.from({ length: count }, (_, i) => `p${i}.`))
    expect(many(300).subjects).toHaveLength(300)
    expect(many(301)).toMatchObject({ subjects: ['$KV.b.>'], exact: false })
  })
})

describe('the consumer', () => {
  const plan = { stream: 'KV_b', name: 'slip_x', deliverFrom: 'lastPerSubject' } as const

  test('one filter is in the request’s subject, several are in its body', () => {
    const one = watchConsumer({ ...plan, subjects: ['$KV.b.a.>'] }, '_I.1')
    expect(one.subject).toBe('CONSUMER.CREATE.KV_b.slip_x.$KV.b.a.>')
    expect(one.body).toMatchObject({ config: { filter_subject: '$KV.b.a.>' } })
    const two = watchConsumer({ ...plan, subjects: ['$KV.b.a.>', '$KV.b.c.>'] }, '_I.1')
    expect(two.subject).toBe('CONSUMER.CREATE.KV_b.slip_x')
    expect(two.body).toMatchObject({ config: { filter_subjects: ['$KV.b.a.>', '$KV.b.c.>'] } })
  })
})

describe('silence', () => {
  const run = (silence: Silence, ms: number): SilenceVerdict[] =>
    Array.from({ length: ms / TICK_MS }, () => silence.passed(TICK_MS))

  test('a late heartbeat is asked about, again and again, and three seconds are the end', () => {
    const verdicts = run(new Silence(), DEAD_AFTER_MS)
    expect(verdicts.indexOf('probe')).toBe(Math.ceil(PROBE_AFTER_MS / TICK_MS) - 1)
    expect(verdicts.filter((verdict) => verdict === 'probe')).toHaveLength(4)
    expect(verdicts.at(-1)).toBe('dead')
  })

  test('a consumer with much to send is asked about as often, and given more time for its first word', () => {
    const silence = new Silence()
    silence.begin(MANY_PENDING)
    const verdicts = run(silence, FIRST_WORD_MS - TICK_MS)
    expect(verdicts.filter((verdict) => verdict === 'probe')).toHaveLength(46)
    expect(verdicts).not.toContain('dead')
    expect(silence.passed(TICK_MS)).toBe('dead')
    silence.begin(MANY_PENDING)
    silence.heard()
    expect(run(silence, DEAD_AFTER_MS).at(-1)).toBe('dead')
    silence.begin(MANY_PENDING - 1)
    expect(run(silence, DEAD_AFTER_MS).at(-1)).toBe('dead')
  })

  test('a sign of life starts it anew, and a stalled event loop is not silence', () => {
    const silence = new Silence()
    run(silence, 2_500)
    silence.heard()
    expect(run(silence, 600)).not.toContain('probe')
    expect(new Silence().passed(60_000)).toBe('alive')
  })
})

describe('the queue of a session', () => {
  const put = { operation: 'put', key: 'k', value: bytes('v'), version: undefined as never } as const

  test('a flow-control request is answered when the reader comes back for what follows', async () => {
    const answered: string[] = []
    const intake = new Intake((subject) => answered.push(subject), 0)
    intake.received(put, 10, 1)
    intake.owe('FC.1')
    intake.owe('FC.1')
    intake.received(put, 10, 2)
    expect((await intake.take()).updates).toHaveLength(2)
    expect(answered).toEqual([])
    const next = intake.take()
    expect(answered).toEqual(['FC.1'])
    intake.owe('FC.2')
    await Promise.resolve()
    await Promise.resolve()
    expect(answered).toEqual(['FC.1', 'FC.2'])
    intake.pulse(2)
    expect((await next).updates).toEqual([])
  })

  test('a reader with much before it is not sent more: the answer waits until little is left', async () => {
    const answered: string[] = []
    const intake = new Intake((subject) => answered.push(subject), 0)
    const update = { ...put, version: VersionToken.fromRevision(1n) }
    let sent = 0
    const send = (mib: number): void => {
      for (let i = 0; i < mib * 1_024; i++) intake.received(update, 1_024, ++sent)
    }
    send(1)
    intake.owe('FC.1')
    send(7)
    const waited = 8 * 1_024 * 1_024
    let left = waited
    while (answered.length === 0 && left > 0) {
      intake.owe('FC.1')
      await intake.take()
      left = intake.queuedBytes
    }
    expect(answered).toEqual(['FC.1'])
    expect(left).toBeLessThanOrEqual(2 * 1_024 * 1_024)
    expect(left).toBeGreaterThan(0)
    while (intake.queuedBytes > 0) await intake.take()
    void intake.take()
    expect(answered).toEqual(['FC.1'])
  })

  test('caught up is said once, at the end of a batch', async () => {
    const intake = new Intake(() => undefined, 0)
    intake.received(put, 10, 1)
    intake.caughtUp(1)
    intake.received(put, 10, 2)
    intake.caughtUp(2)
    const first = await intake.take()
    expect([first.updates.length, first.bookmark!.revision, first.caughtUp]).toEqual([1, 1n, true])
    const second = await intake.take()
    expect([second.updates.length, second.bookmark!.revision, second.caughtUp]).toEqual([1, 2n, false])
  })

  test('a batch says when the last of it came, however long it waited', async () => {
    const intake = new Intake(() => undefined, 0)
    const beganMs = performance.now()
    intake.received(put, 10, 1)
    const first = await intake.take()
    expect(first.receivedAtMs).toBeGreaterThanOrEqual(beganMs)
    expect(first.receivedAtMs).toBeLessThanOrEqual(performance.now())
    intake.heard(beganMs + 10_000)
    intake.received(put, 10, 2)
    intake.heard(beganMs + 20_000)
    intake.heard(beganMs + 15_000)
    expect((await intake.take()).receivedAtMs).toBe(beganMs + 20_000)
    intake.pulse(2, true, beganMs)
    expect((await intake.take()).receivedAtMs).toBe(beganMs)
  })

  test('a batch is at the end when its last message, or what came after, was', async () => {
    const intake = new Intake(() => undefined, 0)
    intake.received(put, 10, 1, true)
    intake.received(put, 10, 2)
    expect((await intake.take()).atEnd).toBe(false)
    intake.received(put, 10, 3)
    intake.received(put, 10, 4, true)
    expect((await intake.take()).atEnd).toBe(true)
    intake.received(put, 10, 5)
    intake.pulse(9, true)
    expect((await intake.take()).atEnd).toBe(true)
    intake.received(put, 10, 10)
    intake.caughtUp(10)
    intake.received(put, 10, 11, true)
    expect([(await intake.take()).atEnd, (await intake.take()).atEnd]).toEqual([false, true])
  })

  test('a bookmark never passes updates that are still queued', async () => {
    const intake = new Intake(() => undefined, 0)
    for (let revision = 1; revision <= 1_500; revision++) intake.received(put, 10, revision)
    intake.caughtUp(1_500)
    intake.pulse(9_000)
    const first = await intake.take()
    expect([first.updates.length, first.bookmark!.revision, first.caughtUp]).toEqual([1_024, 1_024n, false])
    const second = await intake.take()
    expect([second.updates.length, second.bookmark!.revision, second.caughtUp]).toEqual([476, 1_500n, true])
    expect(await intake.take()).toMatchObject({
      updates: [],
      bookmark: { revision: 9_000n },
      caughtUp: false,
    })
    expect(intake.queuedBytes).toBe(0)
    expect(intake.peakBytes).toBe(15_000)
  })

  test('a failure ends it at once, the first one counts, and a waiting reader hears of it', async () => {
    const intake = new Intake(() => undefined, 0)
    const waiting = intake.take()
    const error = new Error('first')
    intake.fail(error)
    intake.fail(new Error('second'))
    await expect(waiting).rejects.toBe(error)
    intake.received(put, 10, 1)
    await expect(intake.take()).rejects.toBe(error)
    await expect(intake.orFailure(new Promise(() => undefined))).rejects.toBe(error)
  })
})

describe('the answer to a request for messages', () => {
  const context = { inboxPrefix: '_I' } as BucketContext
  const answer = (status: string, ...deliveries: number[]) => {
    const received: number[] = []
    const pull = new PullRequest(context, (_, __, ___, { streamSequence }) => received.push(streamSequence))
    const pulled = pull.answeredBy(2, (handlers) => {
      for (const [i, sequence] of deliveries.entries())
        handlers.message(
          bytes('$KV.b.k'),
          bytes(`$JS.ACK.KV_b.c.1.${sequence}.${i + 1}.1760000000123456789.0`),
          undefined,
          bytes('v'),
        )
      handlers.message(bytes('_I.1'), undefined, bytes(`NATS/1.0 ${status}\r\n\r\n`), bytes(''))
    })
    expect(received).toEqual(deliveries)
    return pulled
  }

  test('is the end only when something came before it: the server refuses by a count that lags', () => {
    for (const status of ['404 No Messages', '408 Request Timeout']) {
      expect(answer(status, 7)).toEqual({ why: 'end' })
      expect(answer(status)).toEqual({ why: 'none' })
    }
  })

  test('is not the end when it is full, or a limit was reached', () => {
    expect(answer('404 No Messages', 7, 8)).toEqual({ why: 'full' })
    expect(answer('409 Message Size Exceeds MaxBytes', 7)).toEqual({ why: 'full' })
  })

  test('says how far a consumer looked that found nothing, or that it is gone', () => {
    expect(answer('100 Idle Heartbeat\r\nNats-Last-Consumer: 0\r\nNats-Last-Stream: 44')).toEqual({
      why: 'standing',
      at: 44,
    })
    for (const status of ['409 Consumer Deleted', '503']) expect(answer(status)).toEqual({ why: 'gone' })
  })
})

describe('what the stream says', () => {
  const reply = (config: object, state: object = {}) => ({
    created: 'then',
    config: { num_replicas: 1, max_bytes: -1, max_msgs: -1, discard: 'new', ...config },
    state: { first_seq: 5, last_seq: 9, ...state },
  })

  test('more than one message of a key is kept unless the limit is one', () => {
    const keeps = (config: object) => streamFacts(reply(config)).keepsHistory
    expect([keeps({ max_msgs_per_subject: 1 }), keeps({ max_msgs_per_subject: 2 }), keeps({})]).toEqual([
      false,
      true,
      true,
    ])
  })

  test('a bucket evicts current values by age, by TTL, or by discarding old within a limit', () => {
    const evicts = (config: object) => streamFacts(reply(config)).evictsCurrentValues
    expect(evicts({})).toBe(false)
    expect(evicts({ max_age: 1_000_000 })).toBe(true)
    expect(evicts({ allow_msg_ttl: true })).toBe(true)
    expect(evicts({ discard: 'old', max_bytes: 100 })).toBe(true)
    expect(evicts({ discard: 'old', max_msgs: 100 })).toBe(true)
    expect(evicts({ discard: 'old' })).toBe(false)
    expect(evicts({ max_bytes: 100 })).toBe(false)
  })

  test('another creation time or an earlier end is another history', () => {
    const facts = streamFacts(reply({}))
    expect(lineageError('b', facts, 'then', 9)).toBeUndefined()
    expect(lineageError('b', facts, 'then', 10)).toMatchObject({ code: 'BucketRolledBack' })
    expect(lineageError('b', facts, 'before', 9)).toMatchObject({ code: 'BucketRecreated' })
  })

  test('a start moved up is expired only where values are evicted, beyond what was described', () => {
    const evicting = streamFacts(reply({ max_age: 1_000_000 }))
    expect(expiredStart('b', evicting, 3, {})).toMatchObject({ code: 'CursorExpired' })
    expect(expiredStart('b', evicting, 4, {})).toBeUndefined()
    expect(expiredStart('b', evicting, 3, { describedFirst: 5 })).toBeUndefined()
    expect(expiredStart('b', evicting, 3, { describedFirst: 4 })).toMatchObject({ code: 'CursorExpired' })
    expect(expiredStart('b', evicting, 0, {})).toBeUndefined()
    expect(expiredStart('b', streamFacts(reply({})), 3, {})).toBeUndefined()
  })

  test('a start moved up is not expired where nothing but age evicts and the cursor is young', () => {
    const ts = '2026-03-01T10:00:10.000000000Z'
    const cursor = (ageMs: number): WatchCursor =>
      WatchCursor.fromToken(VersionToken.fromRevision(3n), {
        evictionSeen: true,
        serverTimeMs: BigInt(Date.parse(ts) - ageMs),
      })
    const hour = streamFacts({ ts, ...reply({ max_age: 3_600_000_000_000 }) })
    expect(expiredStart('b', hour, 3, { cursor: cursor(1_700_000) })).toBeUndefined()
    expect(expiredStart('b', hour, 3, { cursor: cursor(1_900_000) })).toMatchObject({ code: 'CursorExpired' })
  })

  test('says at which age messages leave only where nothing else makes them leave, and its own time', () => {
    const age = (config: object) => streamFacts(reply({ max_age: 5_000_000_000, ...config })).evictsAfterMs
    expect(age({})).toBe(5_000)
    expect(age({ allow_msg_ttl: true })).toBeUndefined()
    expect(age({ discard: 'old', max_msgs: 100 })).toBeUndefined()
    expect(age({ max_age: 0 })).toBeUndefined()
    expect(streamFacts({ ts: '2026-03-01T10:00:10.25Z', ...reply({}) }).serverTimeMs).toBe(
      Date.UTC(2026, 2, 1, 10, 0, 10, 250),
    )
    expect(streamFacts(reply({})).serverTimeMs).toBeUndefined()
  })
})

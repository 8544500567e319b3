import { open } from 'node:fs/promises'
import { KvError, type BulkOperation } from '@slip/kv-core'
import { z } from 'zod'
import { mustBeReadable, unreadable } from '../output/local-file.ts'
import { UsageError } from '../output/usage-error.ts'
import { decodeBase64 } from './value-input.ts'

const line = z
  .strictObject({
    key: z.string(),
    value: z.string().optional(),
    text: z.string().optional(),
    json: z.unknown().optional(),
    // What `slip dump --json` says besides.
    version: z.unknown().optional(),
    revision: z.unknown().optional(),
  })
  .refine((fields) => ['value', 'text', 'json'].filter((name) => name in fields).length === 1, {
    message: 'give exactly one of value, text or json',
  })

/** The rule of NATS KV. */
const KEY = /^(?!\.)(?!.*\.\.)[-/=.\w]+(?<!\.)$/
const LINE_FEED = 10

/** One line of `slip load` as a write; UsageError, or KvError `InvalidKey`, names what is wrong with it. */
export function parseInputLine(text: string, number: number): BulkOperation {
  const checked = line.safeParse(parseJson(text, number))
  if (!checked.success) {
    const issue = checked.error.issues[0]!
    throw wrong(number, [issue.path.join('.'), issue.message].filter((part) => part !== '').join(': '))
  }
  const { key, value, text: plain, json } = checked.data
  if (!KEY.test(key)) throw new KvError('InvalidKey', `line ${number}: ${JSON.stringify(key)} is no key`)
  if (value !== undefined)
    return { operation: 'put', key, value: decodeBase64(value, `line ${number}: value`) }
  return { operation: 'put', key, value: plain ?? JSON.stringify(json) }
}

function parseJson(text: string, number: number): unknown {
  let inexact: number | undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(text, (_, value: unknown) => {
      if (isInexact(value)) inexact = value
      return value
    })
  } catch {
    throw wrong(number, 'is not JSON')
  }
  if (inexact !== undefined)
    throw wrong(number, `the number ${inexact} cannot be kept exactly: give the value as text`)
  return parsed
}

/** A whole number whose digits would be printed, and not as they were written. */
function isInexact(value: unknown): value is number {
  return Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value as number) < 1e21
}

/** What `slip load` reads: a file, or stdin for `-`. UsageError when it cannot be read. */
export async function openInput(source: string): Promise<AsyncIterable<Uint8Array>> {
  if (source === '-') return process.stdin
  await mustBeReadable(source, 'load')
  try {
    return (await open(source)).createReadStream()
  } catch (error) {
    throw unreadable(source, error, 'load')
  }
}

/** The lines with their numbers from 1; empty ones are passed over. UsageError for a line that is no UTF-8. */
export async function* inputLines(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ readonly text: string; readonly number: number }> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let number = 0
  let held: Uint8Array[] = []
  function* ended(): Generator<{ readonly text: string; readonly number: number }> {
    number++
    let text: string
    try {
      text = decoder.decode(held.length === 1 ? held[0] : Buffer.concat(held))
    } catch {
      throw wrong(number, 'is not UTF-8')
    }
    held = []
    if (text.trim() !== '') yield { text, number }
  }
  for await (const chunk of input) {
    let from = 0
    for (let to = chunk.indexOf(LINE_FEED); to !== -1; to = chunk.indexOf(LINE_FEED, from)) {
      held.push(chunk.subarray(from, to))
      yield* ended()
      from = to + 1
    }
    if (from < chunk.length) held.push(chunk.subarray(from))
  }
  if (held.length > 0) yield* ended()
}

function wrong(number: number, what: string): UsageError {
  return new UsageError(what.startsWith('is ') ? `line ${number} ${what}` : `line ${number}: ${what}`, 'load')
}

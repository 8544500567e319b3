import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { BulkOperation } from '@slip/kv-core'
import { z } from 'zod'
import { UsageError } from '../output/usage-error.ts'
import { decodeBase64 } from './value-input.ts'

const line = z
  .strictObject({
    key: z.string(),
    value: z.string().optional(),
    text: z.string().optional(),
    json: z.unknown().optional(),
  })
  .refine((fields) => ['value', 'text', 'json'].filter((name) => name in fields).length === 1, {
    message: 'give exactly one of value, text or json',
  })

/** One line of `slip load` as a write; UsageError names what is wrong with it. */
export function parseInputLine(text: string, number: number): BulkOperation {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw new UsageError(`line ${number} is not JSON`, 'load')
  }
  const checked = line.safeParse(parsed)
  if (!checked.success) {
    const issue = checked.error.issues[0]!
    throw new UsageError(
      `line ${number}: ${[issue.path.join('.'), issue.message].filter((part) => part !== '').join(': ')}`,
      'load',
    )
  }
  const { key, value, text: plain, json } = checked.data
  if (value !== undefined)
    return { operation: 'put', key, value: decodeBase64(value, `line ${number}: value`) }
  return { operation: 'put', key, value: plain ?? JSON.stringify(json) }
}

/** The lines of a file, or of stdin for `-`, with their numbers from 1; empty lines are passed over. */
export async function* inputLines(
  source: string,
): AsyncGenerator<{ readonly text: string; readonly number: number }> {
  const stream = source === '-' ? process.stdin : await openStream(source)
  let number = 0
  for await (const text of createInterface({ input: stream, crlfDelay: Infinity })) {
    number++
    if (text.trim() !== '') yield { text, number }
  }
}

async function openStream(path: string): Promise<NodeJS.ReadableStream> {
  try {
    return (await open(path)).createReadStream()
  } catch (error) {
    throw new UsageError(
      `${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'error'}`,
      'load',
    )
  }
}

import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { KvError, type ObjectPutOptions } from '@slip/kv-core'
import { inTime } from './nats-messages.ts'
import type { NatsObjectBucket, NatsObjectInfo } from './nats-object-bucket.ts'
import { piecesOf } from './object-body.ts'

export const CHUNK_BYTES: number = 128 * 1024
const IN_FLIGHT = 16

/**
 * Sends the chunks of an object, a window of them at a time, and says what its entry has to say of them. KvError `Timeout`
 * when none was stored for `timeoutMs`: a slow link takes its time for each.
 */
export async function sendChunks(
  bucket: NatsObjectBucket,
  { name, nuid }: Pick<NatsObjectInfo, 'name' | 'nuid'>,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  { signal, timeoutMs }: Pick<ObjectPutOptions, 'signal'> & { readonly timeoutMs: number },
): Promise<NatsObjectInfo> {
  const hash = createHash('sha256')
  const subject = bucket.chunkSubject(nuid)
  const flying: Promise<number>[] = []
  let [size, chunks, first, last] = [0, 0, 0, 0]
  const land = async (): Promise<void> => {
    last = await inTime(flying[0]!, `writing ${name}`, timeoutMs, signal)
    void flying.shift()
    if (first === 0) first = last
  }
  try {
    for await (const chunk of chunksOf(piecesOf(body, signal))) {
      hash.update(chunk)
      size += chunk.length
      chunks++
      // It may stand behind all others, each of which has its time.
      const timeout = timeoutMs * (IN_FLIGHT + 1)
      const sent = bucket.client.publish(subject, chunk, { timeout }).then(({ seq }) => seq)
      sent.catch(() => undefined)
      flying.push(sent)
      if (flying.length >= IN_FLIGHT) await land()
    }
    while (flying.length > 0) await land()
  } catch (error) {
    // What is under way would arrive behind the purge; what a link does not take was waited for.
    if (!KvError.is(error) || error.code !== 'Timeout') await settledInTime(flying, timeoutMs)
    throw error
  }
  return {
    name,
    bucket: bucket.name,
    nuid,
    size,
    chunks,
    digest: `SHA-256=${hash.digest('base64').replaceAll('+', '-').replaceAll('/', '_')}`,
    options: { max_chunk_size: CHUNK_BYTES },
    ...(chunks > 0 && last - first + 1 === chunks ? { metadata: { slip_first_seq: String(first) } } : {}),
  }
}

async function settledInTime(flying: readonly Promise<unknown>[], timeoutMs: number): Promise<void> {
  const over = new AbortController()
  await Promise.race([
    Promise.allSettled(flying),
    delay(timeoutMs, undefined, { signal: over.signal }).catch(() => undefined),
  ])
  over.abort()
}

/** Pieces as chunks of one size; each has memory of its own, as it is sent while the next one is filled. */
async function* chunksOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let chunk = new Uint8Array(CHUNK_BYTES)
  let filled = 0
  for await (const piece of pieces)
    for (let at = 0; at < piece.length;) {
      const part = piece.subarray(at, at + CHUNK_BYTES - filled)
      chunk.set(part, filled)
      filled += part.length
      at += part.length
      if (filled < CHUNK_BYTES) continue
      yield chunk
      chunk = new Uint8Array(CHUNK_BYTES)
      filled = 0
    }
  if (filled > 0) yield chunk.subarray(0, filled)
}

import { readMetrics } from '../metrics/exposition.ts'
import { UsageError } from '../output/usage-error.ts'

const TIMEOUT_MS = 2_000
const MOST_BYTES = 1024 * 1024

/** A follower's metrics at one moment; `error` where they could not be had. */
export interface Scrape {
  readonly url: string
  readonly atMs: number
  readonly state: string
  readonly bucket?: string | undefined
  readonly revision?: number | undefined
  readonly lag?: number | undefined
  readonly entries?: number | undefined
  readonly applied?: number | undefined
  readonly deliveredBytes?: number | undefined
  readonly sessions?: number | undefined
  readonly verified?: number | undefined
  readonly contactMs?: number | undefined
  readonly residentBytes?: number | undefined
  readonly error?: string | undefined
}

/** `HOST:PORT` and a URL without a path mean `/metrics` there; UsageError for what is no URL. */
export function metricsUrl(text: string): string {
  try {
    const url = new URL(/^https?:\/\//.test(text) ? text : `http://${text}`)
    if (url.pathname === '/') url.pathname = '/metrics'
    return url.href
  } catch {
    throw new UsageError(`--metrics '${text}' is not a URL`, 'top')
  }
}

export async function scrape(url: string, signal: AbortSignal): Promise<Scrape> {
  const atMs = Date.now()
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) })
    if (!response.ok) return { url, atMs, state: 'unreachable', error: `HTTP ${response.status}` }
    return { url, atMs, ...scraped(await textOf(response)) }
  } catch (error) {
    const { cause, message } = error as Error & {
      readonly cause?: { readonly code?: string; readonly message?: string }
    }
    return { url, atMs, state: 'unreachable', error: cause?.code ?? cause?.message ?? message }
  }
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > MOST_BYTES) throw new Error(`the answer has more than ${MOST_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function scraped(text: string): Omit<Scrape, 'url' | 'atMs'> {
  const metrics = readMetrics(text)
  const value = (name: string): number | undefined => metrics.get(name)?.[0]?.value as number | undefined
  const state = metrics.get('slip_follow_state')?.find((sample) => sample.value === 1)?.labels['state']
  if (state === undefined) return { state: 'unreachable', error: 'no metrics of slip follow' }
  const contact = value('slip_follow_last_contact_timestamp_seconds')
  return {
    state,
    bucket: metrics.get('slip_follow_info')?.[0]?.labels['bucket'],
    revision: value('slip_follow_revision'),
    lag: value('slip_follow_lag_revisions'),
    entries: value('slip_follow_entries'),
    applied: value('slip_follow_applied_total'),
    deliveredBytes: value('slip_follow_delivered_bytes_total'),
    sessions: value('slip_follow_sessions_total'),
    verified: value('slip_follow_verified_revision'),
    contactMs: contact === undefined ? undefined : contact * 1_000,
    residentBytes: value('process_resident_memory_bytes'),
  }
}

/** The headers of one message: a status line, and fields by lower-case name. */
export interface MessageHeaders {
  /** 100, 404, …; 0 when the first line has none. */
  readonly status: number
  readonly description: string
  readonly fields: ReadonlyMap<string, string>
}

const VERSION_LINE = 'NATS/1.0'

/**
 * Reads a header block. Names compare without case; of a repeated field the first value counts.
 * Bytes are taken as Latin-1: what is asked of the values here is ASCII.
 */
export function readHeaders(block: Uint8Array): MessageHeaders {
  const text = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString('latin1')
  const lines = text.split('\r\n')
  const first = lines[0]!.startsWith(VERSION_LINE) ? lines[0]!.slice(VERSION_LINE.length).trim() : ''
  const fields = new Map<string, string>()
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const name = line.slice(0, colon).toLowerCase()
    if (!fields.has(name)) fields.set(name, line.slice(colon + 1).trim())
  }
  const space = first.indexOf(' ')
  const status = Number.parseInt(first, 10)
  return {
    status: Number.isNaN(status) ? 0 : status,
    description: space < 0 ? '' : first.slice(space + 1).trim(),
    fields,
  }
}

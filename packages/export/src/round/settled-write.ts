import { KvError, type KvReader, type VersionToken, type WaitOptions } from '@slip/kv-core'

const MOST_ATTEMPTS = 4
const LOST = new Set(['AlreadyExists', 'RevisionMismatch'])
const UNKNOWN = new Set(['OutcomeUnknown', 'Timeout'])

/**
 * Makes a conditional write whose answer may get lost, until it is known what became of it: the version that holds
 * `value`, or undefined when somebody else's write came first. A write that cannot be seen may still
 * arrive, so it is made again on the same condition, of which at most one holds. Throws what the last
 * attempt did when that stays open.
 */
export async function settledWrite(
  reader: KvReader,
  key: string,
  value: string,
  write: () => Promise<VersionToken>,
  wait: WaitOptions,
): Promise<VersionToken | undefined> {
  let isOpen = false
  for (let attempt = 1; ; attempt++) {
    try {
      return await write()
    } catch (error) {
      wait.signal?.throwIfAborted()
      if (!KvError.is(error)) throw error
      if (LOST.has(error.code)) return isOpen ? versionOf(reader, key, value, wait) : undefined
      if (!UNKNOWN.has(error.code)) throw error
      isOpen = true
      const found = await versionOf(reader, key, value, wait).catch(() => undefined)
      if (found !== undefined) return found
      if (attempt === MOST_ATTEMPTS) throw error
    }
  }
}

/** At which version the key has exactly this value. */
async function versionOf(
  reader: KvReader,
  key: string,
  value: string,
  wait: WaitOptions,
): Promise<VersionToken | undefined> {
  const entry = await reader.entry(key, wait)
  return entry !== undefined && new TextDecoder().decode(entry.value) === value ? entry.version : undefined
}

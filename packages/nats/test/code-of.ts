import { KvError } from '@slip/kv-core'

/** The code of the KvError that `work` ends with, or what else came of it. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'it did not fail'
  } catch (error) {
    return KvError.is(error) ? error.code : String(error)
  }
}

import { compareKeys } from '@slip/kv-core'
import type { FoldCut } from './fold-cut.ts'
import { FoldScan, namesOf } from './fold-scan.ts'
import { storedKey } from './stored-key.ts'

/** A scan passes this many keys on the way to the one asked for. */
const MOST_PASSED = 64
/** Questions after which a scan is begun again, at most. */
const MOST_LOOKUPS = 1_024

/**
 * Says which keys a cut has. In layers a look-up asks one after the other; questions in the order of the keys
 * are answered by one scan of all of them instead, which costs a tenth of that.
 */
export class KeyProbe {
  #cut: FoldCut | undefined
  #scan: FoldScan<string> | undefined
  /** What the scan shows next; undefined at its end. */
  #next: string | undefined
  #last = ''
  /** Questions left until a scan is begun, and how many they were the last time. */
  #lookups = 0
  #pause = 1

  has(cut: FoldCut, key: string): boolean {
    const stored = storedKey(key)
    if (stored === undefined) return false
    if (cut !== this.#cut) this.#leave()
    this.#cut = cut
    if (cut.layers !== undefined && this.#lookups-- === 0) {
      this.#lookups = 0
      const found = this.#scanned(cut, key)
      if (found !== undefined) return found
    }
    return cut.data.getBinaryFast(stored, cut.options) !== undefined
  }

  /** undefined where the key is not within reach of the scan, which ends then. */
  #scanned(cut: FoldCut, key: string): boolean | undefined {
    if (this.#scan === undefined) {
      this.#scan = new FoldScan(cut, cut.data, namesOf, '', { gte: key })
      this.#next = this.#scan.next().value
    } else if (compareKeys(key, this.#last) < 0) return this.#lost()
    this.#last = key
    for (let passed = 0; passed < MOST_PASSED; passed++) {
      const order = this.#next === undefined ? 1 : compareKeys(this.#next, key)
      if (order >= 0) {
        this.#pause = Math.max(1, this.#pause >> 1)
        return order === 0
      }
      this.#next = this.#scan.next().value
    }
    return this.#lost()
  }

  #leave(): void {
    this.#scan?.return()
    this.#scan = undefined
  }

  #lost(): undefined {
    this.#leave()
    this.#lookups = this.#pause
    this.#pause = Math.min(2 * this.#pause, MOST_LOOKUPS)
  }
}

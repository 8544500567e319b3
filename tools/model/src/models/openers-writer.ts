import type { Protocol } from '@slip/kv-core'
import { endOf, freedBy, newestOf, numberOf } from './openers-pages.ts'
import {
  AT_REST,
  IDLE,
  MENDING,
  NAMED,
  SCANNING,
  SLOTTED,
  WAITING,
  WRITTEN,
  type OpenersOptions,
  type OpenersState as S,
} from './openers-state.ts'

/** The thread that writes. It has the lock of the writers wherever it is not idle. */
export class OpenersWriter {
  readonly #options: OpenersOptions
  readonly #rules: Protocol
  readonly #slots: number

  constructor(options: OpenersOptions, rules: Protocol) {
    this.#options = options
    this.#rules = rules
    this.#slots = 2 * ((options.readers ?? options.openers) + 1)
  }

  /** Begins to commit the next batch, whether or not the one before was shown. */
  begin(s: S): boolean {
    if (s.writer !== IDLE || s.made === this.#options.commits || s.handle.at(0) !== AT_REST) return false
    const before = s.begins
    if (!this.#begins(s)) return true
    s.number.set(s.made, before + 1)
    s.base.set(s.made, s.headers.at(before & 1))
    s.oldest = before
    s.writer = SCANNING
    return true
  }

  /** Looks whether transactions begin at the newest commit: now and then, and when its handle asks for it. */
  mend(s: S): boolean {
    const isAsked = s.handle.at(0) === WAITING
    const isSeen = this.#options.looks !== false && s.begins < numberOf(s, newestOf(s))
    if (s.writer !== IDLE || !(isAsked || isSeen)) return false
    if (this.#begins(s) && isAsked) s.handle.set(0, AT_REST)
    return true
  }

  storeNewest(s: S): boolean {
    if (s.writer !== MENDING) return false
    s.begins = numberOf(s, newestOf(s))
    s.writer = IDLE
    return true
  }

  /** One slot, or all of them. */
  scan(s: S): boolean {
    if (s.writer !== SCANNING || this.#hasScanned(s)) return false
    this.#look(s, s.scanned)
    s.scanned++
    return true
  }

  writePages(s: S): boolean {
    if (s.writer !== SCANNING || !this.#hasScanned(s)) return false
    if (this.#options.slowScan !== true) for (let slot = 0; slot < this.#slots; slot++) this.#look(s, slot)
    s.loaded = Math.max(s.loaded, s.oldest)
    s.scanned = s.oldest = 0
    const base = s.base.at(s.made)
    const root = this.#freePage(s, base, -1)
    s.root.set(s.made, root)
    s.leaf.set(s.made, this.#freePage(s, base, root))
    s.writer = WRITTEN
    return true
  }

  writeHeader(s: S): boolean {
    if (s.writer !== WRITTEN) return false
    const number = s.number.at(s.made)
    s.made++
    s.headers.set(number & 1, s.made)
    s.writer = NAMED
    return true
  }

  storeNumber(s: S): boolean {
    if (s.writer !== NAMED) return false
    s.begins = numberOf(s, s.made)
    s.writer = IDLE
    return true
  }

  /** Whether a transaction that begins now may go on. */
  #begins(s: S): boolean {
    // What it has in memory of free pages is of the commit that its last transaction made.
    if (s.last !== s.begins) s.loaded = 0
    s.last = s.begins + 1
    const newest = numberOf(s, newestOf(s))
    if (this.#rules.beginsAtNewest({ transaction: s.begins + 1, newest })) return true
    s.writer = MENDING
    return false
  }

  #hasScanned(s: S): boolean {
    return this.#options.slowScan !== true || s.scanned === this.#slots
  }

  /** One keeps what a handle shows, the other what it begins to. */
  #look(s: S, slot: number): void {
    const handle = slot >> 1
    if (slot % 2 === s.side.at(handle)) {
      if (s.cut.at(handle) > 0) s.oldest = Math.min(s.oldest, s.slot.at(handle))
      return
    }
    const phase = s.handle.at(handle)
    if (phase >= SLOTTED && phase !== WAITING) s.oldest = Math.min(s.oldest, s.taken.at(handle))
  }

  /** The one that was freed last, of those that it may use again: what readers are most likely to be in. */
  #freePage(s: S, base: number, but: number): number {
    const end = endOf(s, base)
    let [found, latest] = [but >= end ? but + 1 : end, 0]
    for (let page = 0; page < end; page++) {
      const freed = page === but ? 0 : freedBy(s, base, page)
      if (freed > latest && freed < s.loaded) [found, latest] = [page, freed]
    }
    return found
  }
}

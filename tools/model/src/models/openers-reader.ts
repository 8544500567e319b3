import { countOf, newestOf, numberOf } from './openers-pages.ts'
import {
  AT_REST,
  IDLE,
  LOADED,
  LOOKED,
  OPEN,
  SHOWN,
  SHUT,
  SLOTTED,
  SURE,
  WAITING,
  type OpenersOptions,
  type OpenersState as S,
} from './openers-state.ts'

/** Processes that open the file, and the handles of all: a transaction begins without a lock, a load or a store a step. */
export class OpenersReader {
  readonly #options: OpenersOptions
  readonly #readers: number

  constructor(options: OpenersOptions) {
    this.#options = options
    this.#readers = options.readers ?? options.openers
  }

  readHeaders(s: S, opener: number): boolean {
    if (s.opener.at(opener) !== SHUT || s.opens.at(opener) === (this.#options.opens ?? 1)) return false
    s.opens.set(opener, s.opens.at(opener) + 1)
    s.header.set(opener, numberOf(s, newestOf(s)))
    s.opener.set(opener, LOOKED)
    return true
  }

  /** What LMDB does here without a lock (ITS#9496). */
  storeHeader(s: S, opener: number): boolean {
    if (s.opener.at(opener) !== LOOKED) return false
    s.begins = s.header.at(opener)
    s.header.set(opener, 0)
    s.opener.set(opener, OPEN)
    return true
  }

  close(s: S, opener: number): boolean {
    if (s.opener.at(opener) !== OPEN) return false
    const handle = opener + 1
    const reads = handle <= this.#readers
    if (reads && s.handle.at(handle) !== AT_REST) return false
    s.opener.set(opener, SHUT)
    if (!reads) return true
    s.cut.set(handle, 0)
    s.slot.set(handle, 0)
    s.side.set(handle, 0)
    return true
  }

  /** The writer's handle goes on to what was committed; a reader goes on when it likes. */
  begin(s: S, handle: number): boolean {
    if (s.handle.at(handle) !== AT_REST) return false
    if (handle === 0 ? s.writer !== IDLE || s.told === s.made : s.opener.at(handle - 1) !== OPEN) return false
    const isNewest = s.cut.at(handle) > 0 && s.slot.at(handle) === numberOf(s, newestOf(s))
    if (isNewest && this.#options.goesOn === true) return false
    this.#load(s, handle)
    return true
  }

  fillSlot(s: S, handle: number): boolean {
    if (s.handle.at(handle) !== LOADED) return false
    s.handle.set(handle, SLOTTED)
    return true
  }

  loadAgain(s: S, handle: number): boolean {
    if (s.handle.at(handle) !== SLOTTED) return false
    if (s.taken.at(handle) === s.begins) s.handle.set(handle, SURE)
    else this.#load(s, handle)
    return true
  }

  readHeader(s: S, handle: number): boolean {
    if (s.handle.at(handle) !== SURE) return false
    s.next.set(handle, s.headers.at(s.taken.at(handle) & 1))
    s.handle.set(handle, SHOWN)
    return true
  }

  /** Shows what it was shown, or keeps what it has; the other transaction ends. */
  show(s: S, handle: number): boolean {
    if (s.handle.at(handle) !== SHOWN) return false
    const next = s.next.at(handle)
    const isLess = handle === 0 ? this.#lacks(s, next) : this.#isOlder(s, handle, next)
    if (!isLess) {
      if (s.cut.at(handle) > 0 && countOf(s, next) < countOf(s, s.cut.at(handle) - 1)) s.wentBack = 1
      s.cut.set(handle, next + 1)
      s.slot.set(handle, s.taken.at(handle))
      if (this.#options.slowScan === true) s.side.set(handle, 1 - s.side.at(handle))
      if (handle === 0) s.told = s.made
    }
    s.next.set(handle, 0)
    s.taken.set(handle, 0)
    s.handle.set(handle, handle === 0 && isLess ? WAITING : AT_REST)
    return true
  }

  #load(s: S, handle: number): void {
    s.taken.set(handle, s.begins)
    s.handle.set(handle, LOADED)
  }

  #lacks(s: S, next: number): boolean {
    return this.#options.comparesOwn !== false && countOf(s, next) < countOf(s, s.made)
  }

  #isOlder(s: S, handle: number, next: number): boolean {
    const cut = s.cut.at(handle)
    return this.#options.keepsNewer !== false && cut > 0 && countOf(s, next) < countOf(s, cut - 1)
  }
}

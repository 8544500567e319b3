import { writeFiller } from '../record.ts'

const FIRST_SEGMENT_BYTES = 64 * 1024

/** A retained piece of memory; bytes below `used` never change. */
export interface Segment {
  /** Address of its first byte. */
  readonly base: number
  readonly bytes: Buffer
  used: number
  /** Bytes of records that are still pointed at. */
  live: number
}

/**
 * Records in append-only segments. An address is one number: the segment's place times
 * `segmentBytes`, plus the offset in it. Address 0 is never given. A record above half a segment has
 * a segment of its own.
 */
export class Arena {
  readonly segmentBytes: number
  usedBytes = 0
  liveBytes = 0
  readonly #perByte: number
  readonly #segments: (Segment | undefined)[] = [undefined]
  readonly #freePlaces: number[] = []
  #current: Segment | undefined
  /** The last of the segments that came from elsewhere: more of it may be adopted. */
  #adopted: Segment | undefined

  constructor(segmentBytes: number) {
    if (!Number.isInteger(Math.log2(segmentBytes)) || segmentBytes < 4096 || segmentBytes > 2 ** 30)
      throw new RangeError('segmentBytes must be a power of two from 4 KiB to 1 GiB')
    this.segmentBytes = segmentBytes
    this.#perByte = 1 / segmentBytes
  }

  segmentAt(address: number): Segment {
    return this.#segments[Math.trunc(address * this.#perByte)]!
  }

  /** Copies one record in; returns its address. */
  append(source: Uint8Array, from: number, length: number): number {
    const segment = this.#withRoom(length)
    return this.#copy(segment, source, from, length)
  }

  /**
   * Takes over the records in `bytes[from, to)` where they are; returns the address of the first. Nobody
   * else may write to `bytes` from now on, which has at most `segmentBytes`; what lies between this and
   * what was adopted of it before, if anything at least a record header, is overwritten.
   */
  adopt(bytes: Uint8Array, from: number, to: number): number {
    const segment = this.#segmentOver(bytes)
    if (from > segment.used) writeFiller(segment.bytes, segment.used, from)
    this.usedBytes += to - segment.used
    this.liveBytes += to - from
    segment.used = to
    segment.live += to - from
    return segment.base + from
  }

  /** How much `append` can take before it needs another segment. */
  get room(): number {
    return this.#current === undefined ? 0 : this.#current.bytes.length - this.#current.used
  }

  /** The record at `address` is no longer pointed at. */
  supersede(address: number, length: number): void {
    const segment = this.segmentAt(address)
    segment.live -= length
    this.liveBytes -= length
    if (segment.live === 0 && segment !== this.#current && segment !== this.#adopted) this.#release(segment)
  }

  /** Whether a segment is still held; one without live records goes by itself. */
  holds(segment: Segment): boolean {
    return this.segmentAt(segment.base) === segment
  }

  /** The segment with the largest share of garbage, closed to appends. */
  emptiest(): Segment | undefined {
    let found: Segment | undefined
    for (const segment of this.#segments)
      if (segment !== undefined && segment.used > 0)
        if (found === undefined || segment.live * found.used < found.live * segment.used) found = segment
    if (found !== undefined && found === this.#current) this.#current = undefined
    if (found !== undefined && found === this.#adopted) this.#adopted = undefined
    if (found?.live !== 0) return found
    this.#release(found)
    return this.emptiest()
  }

  #copy(segment: Segment, source: Uint8Array, from: number, length: number): number {
    const at = segment.used
    segment.bytes.set(
      from === 0 && length === source.length ? source : source.subarray(from, from + length),
      at,
    )
    segment.used += length
    segment.live += length
    this.usedBytes += length
    this.liveBytes += length
    return segment.base + at
  }

  #withRoom(length: number): Segment {
    if (length <= this.room) return this.#current!
    if (length > this.segmentBytes / 2) return this.#add(length)
    const closed = this.#current
    this.#current = this.#add(
      Math.max(length, Math.min(this.segmentBytes, Math.max(FIRST_SEGMENT_BYTES, this.usedBytes))),
    )
    if (closed?.live === 0) this.#release(closed)
    return this.#current
  }

  #segmentOver(bytes: Uint8Array): Segment {
    const before = this.#adopted
    if (before?.bytes.buffer === bytes.buffer) return before
    this.#adopted = this.#place(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    if (before?.live === 0) this.#release(before)
    return this.#adopted
  }

  #add(bytes: number): Segment {
    return this.#place(Buffer.allocUnsafeSlow(bytes))
  }

  #place(bytes: Buffer): Segment {
    const place = this.#freePlaces.pop() ?? this.#segments.length
    const segment = {
      base: place * this.segmentBytes,
      bytes,
      used: 0,
      live: 0,
    }
    this.#segments[place] = segment
    return segment
  }

  #release(segment: Segment): void {
    const place = segment.base / this.segmentBytes
    this.#segments[place] = undefined
    this.#freePlaces.push(place)
    this.usedBytes -= segment.used
  }
}

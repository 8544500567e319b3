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

  /** How much `append` can take before it needs another segment. */
  get room(): number {
    return this.#current === undefined ? 0 : this.#current.bytes.length - this.#current.used
  }

  /** The record at `address` is no longer pointed at. */
  supersede(address: number, length: number): void {
    const segment = this.segmentAt(address)
    segment.live -= length
    this.liveBytes -= length
    if (segment.live === 0 && segment !== this.#current) this.#release(segment)
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

  #add(bytes: number): Segment {
    const place = this.#freePlaces.pop() ?? this.#segments.length
    const segment = {
      base: place * this.segmentBytes,
      bytes: Buffer.allocUnsafeSlow(bytes),
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

import { VersionToken, type KvUpdate } from '@slip/kv-core'

const SLAB_BYTES = 256 * 1024
/** What a value that somebody keeps holds on to at most; more only when it is larger itself. */
const BLOCK_BYTES = 64 * 1024
/** keyBytes:u16 | valueBytes:u32 | revision:f64 | writtenAtMs:f64 | expiresAtMs:f64, NaN for none; then key and value. */
const HEAD_BYTES = 30
const NONE = Number.NaN
const MOST_KEY_BYTES = 0xffff

type Put = Extract<KvUpdate, { operation: 'put' }>

/** Memory that puts are laid out in from its begin to `end`. */
interface Slab {
  readonly memory: Buffer
  end: number
}

/** What stands for updates while they wait. */
export interface PackedUpdates {
  readonly count: number
  /** Those that are no plain puts, by their place in the order. */
  readonly others: ReadonlyMap<number, KvUpdate>
}

/**
 * Lays out what has to wait, in memory that is used again. An update that waits for seconds, with its value
 * in what the socket read, outlives V8's young generation: beside a queue of 20 MB there were 150 MB more until
 * the old one was collected.
 */
export class PackedQueue {
  readonly #slabs: Slab[] = []
  readonly #free: Buffer[] = []
  /** How far the first slab was read. */
  #readTo = 0

  pack(updates: readonly KvUpdate[]): PackedUpdates {
    const others = new Map<number, KvUpdate>()
    for (const [i, update] of updates.entries())
      if (isPlain(update)) this.#write(update)
      else others.set(i, update)
    return { count: updates.length, others }
  }

  /** The updates in their order, each value in memory of its own. What was packed first is to be unpacked first. */
  unpack(packed: readonly PackedUpdates[]): KvUpdate[] {
    const updates: KvUpdate[] = []
    const room = new ValueRoom()
    for (const { count, others } of packed)
      for (let i = 0; i < count; i++) updates.push(others.get(i) ?? this.#read(room))
    this.#drop()
    return updates
  }

  #write(put: Put): void {
    const bytes = HEAD_BYTES + mostKeyBytes(put) + put.value.length
    let slab = this.#slabs.at(-1)
    if (slab === undefined || slab.end + bytes > slab.memory.length) {
      const large = bytes > SLAB_BYTES
      const memory = large ? undefined : this.#free.pop()
      slab = { memory: memory ?? Buffer.allocUnsafeSlow(large ? bytes : SLAB_BYTES), end: 0 }
      this.#slabs.push(slab)
    }
    slab.end = writePut(slab.memory, slab.end, put)
  }

  #read(room: ValueRoom): Put {
    if (this.#readTo === this.#slabs[0]!.end) this.#drop()
    const { memory } = this.#slabs[0]!
    const at = this.#readTo
    const valueFrom = at + HEAD_BYTES + memory.readUInt16LE(at)
    this.#readTo = valueFrom + memory.readUInt32LE(at + 2)
    return readPut(memory, at, room.copy(memory, valueFrom, this.#readTo))
  }

  /** Lets go of the first slab when it was read. When nothing waits any more, the next flood may be days away. */
  #drop(): void {
    if (this.#slabs.length === 0 || this.#readTo < this.#slabs[0]!.end) return
    const { memory } = this.#slabs.shift()!
    this.#readTo = 0
    if (this.#slabs.length === 0) this.#free.length = 0
    else if (memory.length === SLAB_BYTES) this.#free.push(memory)
  }
}

/** Whether it is one that the layout has room for; all others stay the objects they are. */
function isPlain(update: KvUpdate): update is Put {
  if (update.operation !== 'put' || mostKeyBytes(update) > MOST_KEY_BYTES) return false
  const { revision } = update.version
  return revision !== undefined && revision <= BigInt(Number.MAX_SAFE_INTEGER)
}

function mostKeyBytes({ key }: KvUpdate): number {
  return 3 * key.length
}

function writePut(memory: Buffer, at: number, put: Put): number {
  const { key, value, version, writtenAtMs, expiresAtMs } = put
  const keyBytes = memory.write(key, at + HEAD_BYTES)
  memory.writeUInt16LE(keyBytes, at)
  memory.writeUInt32LE(value.length, at + 2)
  memory.writeDoubleLE(Number(version.revision), at + 6)
  memory.writeDoubleLE(writtenAtMs ?? NONE, at + 14)
  memory.writeDoubleLE(expiresAtMs ?? NONE, at + 22)
  const valueFrom = at + HEAD_BYTES + keyBytes
  memory.set(value, valueFrom)
  return valueFrom + value.length
}

function readPut(memory: Buffer, at: number, value: Uint8Array): Put {
  const keyFrom = at + HEAD_BYTES
  const key = memory.toString('utf8', keyFrom, keyFrom + memory.readUInt16LE(at))
  const version = VersionToken.fromRevision(BigInt(memory.readDoubleLE(at + 6)))
  const writtenAtMs = memory.readDoubleLE(at + 14)
  const expiresAtMs = memory.readDoubleLE(at + 22)
  const put = { operation: 'put', key, value, version } as const
  const written = Number.isNaN(writtenAtMs) ? put : { ...put, writtenAtMs }
  return Number.isNaN(expiresAtMs) ? written : { ...written, expiresAtMs }
}

/** Puts copies of values into blocks, so that small ones share one. */
class ValueRoom {
  #block = new Uint8Array(0)
  #end = 0

  copy(from: Buffer, start: number, end: number): Uint8Array {
    const length = end - start
    if (this.#end + length > this.#block.length) {
      this.#block = new Uint8Array(Math.max(BLOCK_BYTES, length))
      this.#end = 0
    }
    const value = this.#block.subarray(this.#end, this.#end + length)
    value.set(from.subarray(start, end))
    this.#end += length
    return value
  }
}

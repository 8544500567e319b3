import { slicedCrc, type RunningCrc } from './crc-table.ts'

const CASTAGNOLI = 0x82f6_3b78
/** Below this a call into native code costs more than it saves. */
const NATIVE_FROM_BYTES = 512
const PROBE_BYTES = 64 * 1024

interface NativeCrc32c {
  calculate(data: Uint8Array, initial?: number): number
}

const portable: RunningCrc = slicedCrc(CASTAGNOLI)
let native: NativeCrc32c | undefined

/**
 * CRC-32C (Castagnoli, reflected) over `bytes[from, to)`, continuing from `crc`. The value of
 * "123456789" is e3069283.
 */
export function crc32c(crc: number, bytes: Uint8Array, from: number, to: number): number {
  if (native === undefined || to - from < NATIVE_FROM_BYTES) return portable(crc, bytes, from, to)
  return native.calculate(Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from), crc) >>> 0
}

let loading: Promise<void> | undefined

/**
 * Takes the optional peer `fast-crc32c` into use when it is installed, gives equal results and is
 * faster on a large input. Resolves once; never rejects.
 */
export function loadNativeCrc32c(): Promise<void> {
  loading ??= tryNative()
  return loading
}

async function tryNative(): Promise<void> {
  try {
    const name = 'fast-crc32c'
    const module = (await import(name)) as { default?: NativeCrc32c } & Partial<NativeCrc32c>
    const candidate = module.default ?? (module as NativeCrc32c)
    if (worthwhile(candidate)) native = candidate
  } catch {
    native = undefined
  }
}

/** The package falls back to plain JavaScript where its addon did not build: then ours is as good. */
function worthwhile(candidate: NativeCrc32c): boolean {
  const probe = Buffer.alloc(PROBE_BYTES, 'slip')
  const expected = portable(0, probe, 0, probe.length)
  if (candidate.calculate(probe) !== expected) return false
  const first = candidate.calculate(probe.subarray(0, 1001))
  if (candidate.calculate(probe.subarray(1001), first) !== expected) return false
  return time(() => candidate.calculate(probe)) < time(() => portable(0, probe, 0, probe.length))
}

function time(work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5; round++) {
    const start = performance.now()
    work()
    best = Math.min(best, performance.now() - start)
  }
  return best
}

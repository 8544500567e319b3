import { portableCrc32c as portable } from '@slip/kv-core/store-parts'

/** Below this a call into native code costs more than it saves. */
const NATIVE_FROM_BYTES = 512
const PROBE_BYTES = 4 * 1024

interface NativeCrc32c {
  calculate(data: Uint8Array, initial?: number): number
}

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
 * Takes the optional peer `fast-crc32c` into use when it is installed, its native half was built and
 * gives equal results. Resolves once; never rejects. `load` is for tests.
 */
export function loadNativeCrc32c(load: () => Promise<NativeCrc32c> = importNative): Promise<void> {
  loading ??= tryNative(load)
  return loading
}

async function tryNative(load: () => Promise<NativeCrc32c>): Promise<void> {
  try {
    const candidate = await load()
    if (agrees(candidate)) native = candidate
  } catch {
    native = undefined
  }
}

/** Without the native half the package falls back to a table of its own, which is slower than ours: hence its inner file. */
async function importNative(): Promise<NativeCrc32c> {
  const name = 'fast-crc32c/impls/sse4_crc32c.js'
  const module = (await import(name)) as { default: NativeCrc32c }
  return module.default
}

function agrees(candidate: NativeCrc32c): boolean {
  const probe = Buffer.alloc(PROBE_BYTES, 'slip')
  const expected = portable(0, probe, 0, probe.length)
  const first = candidate.calculate(probe.subarray(0, 1001))
  return (
    candidate.calculate(probe) === expected && candidate.calculate(probe.subarray(1001), first) === expected
  )
}

// What a benchmark measures of its own process, and how it says so.
import { openSync, readFileSync, readSync } from 'node:fs'

export function watchMemory() {
  let most = 0
  const look = () => {
    const mb = Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? 0) / 1_024
    most = Math.max(most, mb)
    return mb
  }
  const timer = setInterval(look, 50)
  return {
    now: () => `${Math.round(look())} MB anonymous`,
    end: () => {
      look()
      clearInterval(timer)
      return `anonymous memory ${Math.round(most)} MB at most`
    },
  }
}

/** For how long the event loop stood still at most: by the clock, and how much of such a time this thread ran. */
export function watchLoop() {
  const ran = threadRan()
  let longestMs = 0
  let longestRunMs = 0
  let last = performance.now()
  let ranBefore = ran()
  const timer = setInterval(() => {
    const now = performance.now()
    const ranNow = ran()
    longestMs = Math.max(longestMs, now - last - 1)
    longestRunMs = Math.max(longestRunMs, ranNow - ranBefore)
    last = now
    ranBefore = ranNow
  }, 1)
  return {
    end: () => {
      clearInterval(timer)
      return { longestMs, longestRunMs }
    },
  }
}

/** How long this thread had a processor, in milliseconds: Linux counts it. Zero on other systems. */
function threadRan() {
  try {
    const file = openSync('/proc/thread-self/schedstat', 'r')
    const text = Buffer.alloc(96)
    return () => {
      const length = readSync(file, text, 0, text.length, 0)
      return Number(text.toString('latin1', 0, length).split(' ')[0]) / 1e6
    }
  } catch {
    return () => 0
  }
}

export function ioOf(what, entries) {
  const bytes = Number(new RegExp(`^${what}: (\\d+)`, 'm').exec(readFileSync('/proc/self/io', 'latin1'))?.[1])
  return Math.round(bytes / entries)
}

export function perCall(keys, call) {
  const took = new Float64Array(keys.length)
  for (const [i, key] of keys.entries()) {
    const from = performance.now()
    call(key)
    took[i] = (performance.now() - from) * 1_000
  }
  return took.sort()
}

export function shares(took) {
  const at = (share) => took[Math.floor(share * took.length)].toFixed(1)
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, p99.9 ${at(0.999)}`
}

/** Microseconds an entry since then, by the clock and of all threads' CPU: on a machine that is shared they differ. */
export function usEach(began, entries) {
  const { user, system } = process.cpuUsage(began.cpu)
  return { wall: ((performance.now() - began.at) * 1_000) / entries, cpu: (user + system) / entries }
}

export function stopwatch() {
  return { at: performance.now(), cpu: process.cpuUsage() }
}

export function usText({ wall, cpu }) {
  return `${wall.toFixed(2)} us an entry (${cpu.toFixed(2)} of CPU)`
}

export function print(what, result) {
  process.stdout.write(`${what.padEnd(24)} ${result}\n`)
}

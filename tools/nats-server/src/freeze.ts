import { readdirSync, readFileSync } from 'node:fs'

const STOPS_WITHIN_MS = 5_000
const sleeper = new Int32Array(new SharedArrayBuffer(4))

/**
 * Stops a process (SIGSTOP) and, on Linux, returns only when each of its threads stands still: one that is
 * running when the signal is sent goes on for a moment, long enough to answer.
 */
export function freeze(pid: number): void {
  process.kill(pid, 'SIGSTOP')
  const until = performance.now() + STOPS_WITHIN_MS
  while (process.platform === 'linux' && !standsStill(pid)) {
    if (performance.now() > until) throw new Error(`process ${pid} did not stop within ${STOPS_WITHIN_MS} ms`)
    Atomics.wait(sleeper, 0, 0, 1)
  }
}

function standsStill(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) => 'TtZX'.includes(stateOf(pid, thread)))
}

// The state letter follows the name, which is in parentheses and may hold any character.
function stateOf(pid: number, thread: string): string {
  try {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1')
    return stat[stat.lastIndexOf(')') + 2] ?? 'X'
  } catch {
    return 'X'
  }
}

import { type ChildProcess, spawn } from 'node:child_process'

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Ends `child` when this process ends, however it ends: also by SIGKILL, where no handler runs. */
export function endWithUs(child: ChildProcess): void {
  if (child.pid === undefined) return
  running.add(child)
  const release = process.platform === 'win32' ? () => undefined : watchFromOutside(child.pid)
  child.once('exit', () => {
    running.delete(child)
    release()
  })
}

/** A shell that reads a pipe we hold: a line means all is well, the end of the pipe that we are gone. */
function watchFromOutside(pid: number): () => void {
  const script = `trap '' INT TERM HUP; read -r _ || kill -9 ${pid}`
  const guard = spawn('sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  guard.on('error', () => undefined)
  guard.stdin.on('error', () => undefined)
  guard.unref()
  ;(guard.stdin as unknown as { unref(): void }).unref()
  return () => guard.stdin.end('done\n')
}

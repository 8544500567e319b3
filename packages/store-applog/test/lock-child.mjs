import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppendLogSnapshot } from '@slip/store-applog'

// Takes the lock of PATH again and again, saying in LEDGER when it has it; with `hold` once, to stay.
const [mode, path, ledger, rounds] = process.argv.slice(2)
if (mode === 'hold') {
  await AppendLogSnapshot.open({ path })
  console.log('held')
  await sleep(60_000)
}
for (let round = 0; round < Number(rounds); round++) {
  const store = await AppendLogSnapshot.open({ path, waitLockMs: 30_000 })
  appendFileSync(ledger, `+${process.pid}\n`)
  await sleep(Math.random() * 8)
  appendFileSync(ledger, `-${process.pid}\n`)
  // Now and then it dies with the lock.
  if (round === Number(rounds) - 1) process.kill(process.pid, 'SIGKILL')
  await store.close()
}

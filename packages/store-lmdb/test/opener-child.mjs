// What a process does to a lock file that opens the environment beside a writer: it stores the commit that it read
// before as the one where transactions begin. `opener-child.mjs LOCK BY` stores the one that many before the newest,
// once; without BY it stores what it read a moment ago, again and again, while its parent lives.
import { openSync, readSync, writeSync } from 'node:fs'

const [lock, by] = process.argv.slice(2)
const NEWEST_AT = 8
const descriptor = openSync(lock, 'r+')
const bytes = Buffer.alloc(8)
const parent = process.ppid
const pauses = new Int32Array(new SharedArrayBuffer(4))

const read = () => {
  readSync(descriptor, bytes, 0, 8, NEWEST_AT)
  return bytes.readBigUInt64LE()
}
const store = (id) => {
  bytes.writeBigUInt64LE(id)
  writeSync(descriptor, bytes, 0, 8, NEWEST_AT)
}
const pause = (ms) => Atomics.wait(pauses, 0, 0, ms)

if (by !== undefined) store(read() - BigInt(by))
else
  for (let i = 0; process.ppid === parent; i++) {
    const id = read()
    pause(0.1 + (i % 7) / 10)
    store(id)
    pause(1 + (i % 5))
  }

// Opens the fold at PATH for reading. `end` ends the locks in the lock file as glibc does when somebody closes a file last;
// `come-and-go MS` opens and closes it again and again; `close` closes it. Says what it did in a line each.
import { openSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { LmdbReader } from '@slip/store-lmdb'

const [path, file] = process.argv.slice(2)
/** Of `pthread_mutex_t`, in the two locks that every transaction may need (x64). */
const KINDS_AT = [40, 80]
const ENDED = Buffer.from(Int32Array.of(-1).buffer)

let reader = await LmdbReader.open({ path })
console.log('open')
for await (const line of createInterface({ input: process.stdin })) {
  const [what, ms] = line.split(' ')
  if (what === 'end') {
    const descriptor = openSync(`${file}-lock`, 'r+')
    for (const at of KINDS_AT) writeSync(descriptor, ENDED, 0, ENDED.length, at)
  } else if (what === 'come-and-go') {
    let opened = 0
    for (const until = performance.now() + Number(ms); performance.now() < until; opened++) {
      await reader.close()
      reader = await LmdbReader.open({ path })
    }
    console.log(`opened ${opened}`)
    continue
  } else await reader.close()
  console.log(what)
}

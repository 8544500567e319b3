import { fork } from 'node:child_process'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { plainCrc32c, readAndChecksum, runtimeCrc32 } from '../floors.ts'
import { inTurns, saidStalls, type Stalls } from '../measure.ts'
import { print } from '../report.ts'

const CHILD = fileURLToPath(new URL('../load-child.js', import.meta.url))

interface Loaded {
  readonly ms: number
  readonly entries: number
  readonly rss: number
  readonly stalls?: Stalls
  readonly idleP99Ms: number
}

/** L1 and L2: load of a log in a fresh process, beside the floor and the obvious loader. */
export async function loadRows(path: string, generation2: string, count: number): Promise<void> {
  const { size } = await stat(path)
  let ours: Loaded | undefined
  const times = await inTurns(3, {
    ours: async () => (ours = await loadInChild('ours', path)).ms,
    floor: () => readAndChecksum(path, plainCrc32c),
    runtime: () => readAndChecksum(path, runtimeCrc32),
  })
  const naive = await loadInChild('naive', generation2)
  if (ours === undefined || ours.entries !== count || naive.entries !== count)
    throw new Error(`loaded ${ours?.entries} and ${naive.entries} of ${count} entries`)
  print({
    id: 'L1',
    what: `load ${count} records`,
    ours: times.ours,
    unit: 'ms',
    floor: times.floor,
    floorIs: 'every byte read and its CRC-32C taken in plain JavaScript',
    peer: naive.ms,
    peerIs: 'Map of objects, no checksum',
    note: `${times.runtime.toFixed(0)} ms with the CRC-32 of zlib; ${saidStalls(ours.stalls!)} beside ${ours.idleP99Ms.toFixed(1)} ms idle`,
  })
  print({
    id: 'L2',
    what: 'resident memory after it',
    ours: ours.rss / count,
    unit: 'B an entry',
    floor: size / count,
    floorIs: "the file's bytes",
    peer: naive.rss / count,
    peerIs: 'Map of objects',
    note: `${((ours.rss - size) / count).toFixed(0)} B an entry above the file`,
  })
}

async function loadInChild(mode: 'ours' | 'naive', path: string): Promise<Loaded> {
  const child = fork(CHILD, [mode, path], { execArgv: ['--expose-gc', '--max-old-space-size=16000'] })
  const [message] = (await once(child, 'message')) as [Loaded]
  await once(child, 'exit')
  return message
}

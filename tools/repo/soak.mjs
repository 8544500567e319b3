import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { build } from './build.mjs'
import { exec, ROOT } from './exec.mjs'
import { testOnNodes } from './node-matrix.mjs'
import { runTests } from './test-run.mjs'

const SIMULATOR = fileURLToPath(new URL('../simulation/dist/main.js', import.meta.url))
const SIMULATIONS = '20000'

/** Of the same lists, for the LMDB store alone. */
const LMDB_SOAK = {
  SLIP_CASES: '400',
  SLIP_CYCLES: '250',
  SLIP_READ_MS: '60000',
  SLIP_HYDRATED: '20000000',
}

/** Of the issues' "Shows" lists: the same tests as in CI, with more of everything. */
const SOAK = {
  SLIP_CYCLES: '200',
  SLIP_RESTARTS: '50',
  SLIP_FREEZE_MS: '20000',
  SLIP_DATASET_ENTRIES: 'Infinity',
  SLIP_MATRIX: 'full',
  SLIP_LEADER_KILLS: '20',
  SLIP_STEP_DOWNS: '100',
  SLIP_BUSY_MS: '60000',
  SLIP_REBUILT_KEYS: '5000000',
  SLIP_READERS_MS: '60000',
  SLIP_OVERWRITES: '100000',
  SLIP_FLEET_NODES: '10',
  SLIP_FLEET_ROUNDS: '100',
}

/** Of artifacts: every kill, every flip, every server, 2 GB, and 1 % of 2 GB changed. */
const ARTIFACTS = {
  SLIP_HOSTILE_ARTIFACTS: '300',
  SLIP_MUTATED_MANIFESTS: '200000',
  SLIP_ARTIFACT_KILLS: 'Infinity',
  SLIP_ARTIFACT_FLIPS: 'full',
  SLIP_SERVERS: 'all',
  SLIP_ARTIFACT_BYTES: `${2 * 1024 ** 3}`,
  SLIP_CHANGED_BYTES: `${2 * 1024 ** 3}`,
}

const parts = {
  /** Arguments are turbo's. */
  acceptance: (args) => runTests(['--filter=@slip/acceptance', ...args], SOAK),
  /** Damage, kills, readers and 20,000,000 entries of the LMDB store. Arguments are turbo's. */
  'store-lmdb': (args) => runTests(['--filter=@slip/store-lmdb', ...args], LMDB_SOAK),
  /** Kills, flips, hostile artifacts and memory of exports and imports. Arguments are turbo's. */
  artifacts: (args) => runTests(['--filter=@slip/export', ...args], ARTIFACTS),
  /** Repairs from an artifact that fail or die at each of their commits. Arguments are turbo's. */
  restore: (args) => runTests(['--filter=@slip/kv-core', ...args], { SLIP_SCHEDULES: '30000' }),
  /** The tests as they are, under each supported line of Node; arguments are lines (`24`), and turbo's. */
  nodes: testOnNodes,
  /** Arguments are the simulator's, and win over these. */
  simulation: (args) =>
    exec(
      process.execPath,
      [SIMULATOR, '--count', SIMULATIONS, '--workers', String(availableParallelism()), ...args],
      { cwd: ROOT },
    ),
}

/** The full counts: of one part when the first word names it, else of all of them one after the other. */
export async function soak([first, ...rest]) {
  await build()
  if (Object.hasOwn(parts, first ?? '')) return await parts[first](rest)
  if (first !== undefined) {
    process.stderr.write(`usage: pnpm soak [${Object.keys(parts).join('|')} [arguments]]\n`)
    return 2
  }
  let worst = 0
  for (const part of Object.values(parts)) worst = Math.max(worst, await part([]))
  return worst
}

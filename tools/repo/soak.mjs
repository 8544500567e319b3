/** The full counts of the "Shows" list: the same tests as in CI, with more of everything. */
export const SOAK = {
  SLIP_CYCLES: '200',
  SLIP_RESTARTS: '50',
  SLIP_FREEZE_MS: '20000',
  SLIP_DATASET_ENTRIES: 'Infinity',
  SLIP_MATRIX: 'full',
  SLIP_LEADER_KILLS: '20',
  SLIP_STEP_DOWNS: '100',
  SLIP_REBUILT_KEYS: '5000000',
  SLIP_OVERWRITES: '100000',
}

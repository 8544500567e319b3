/** Of the random tests of this run; `SLIP_SEED` repeats one. */
export const seed: number = Number(process.env['SLIP_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

console.log(`SLIP_SEED=${seed}`)

export const KEYS_A_PREFIX: number
export const VALUE_BYTES: number
export const pool: Buffer

export function keyOf(number: number): string
export function valueOf(number: number): Buffer
export function permutation(count: number): (number: number) => number
export function seeded(seed: number): (below: number) => number

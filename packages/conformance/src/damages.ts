import type { FoldFiles } from './fold-files.ts'
import type { SeededRandom } from './seeded-random.ts'

/** What was done to one file of a fold. */
export interface Damage {
  /** The path of the file in the fold. */
  readonly file: string
  /** What is in it, or undefined when it is gone. */
  readonly bytes: Uint8Array | undefined
  /** For the message of a failure. */
  readonly what: string
}

/** Makes one damage; `other` is a fold of the same store with other data. */
export type Damager = (files: FoldFiles, random: SeededRandom, other: FoldFiles) => Damage

const GRAINS = [1, 512, 4_096]

export const cut: Damager = (files, random) => {
  const { file, bytes } = somewhere(files, random)
  const length = random.below(bytes.length)
  return {
    file,
    bytes: bytes.subarray(0, length),
    what: `${name(file)} cut to ${length} of ${bytes.length} bytes`,
  }
}

export const overwritten: Damager = (files, random) => {
  const { file, bytes } = somewhere(files, random)
  const at = random.below(bytes.length)
  const noise = random.bytes(random.pick([1, 2, 16, 512]))
  return {
    file,
    bytes: patched(bytes, at, noise),
    what: `${noise.length} bytes of noise at ${at} of ${name(file)}`,
  }
}

export const zeroed: Damager = (files, random) => {
  const { file, bytes, at, length } = somePiece(files, random)
  const zeros = new Uint8Array(length)
  return { file, bytes: patched(bytes, at, zeros), what: `${length} zeros at ${at} of ${name(file)}` }
}

export const swapped: Damager = (files, random) => {
  const { file, bytes, at, length } = somePiece(files, random)
  const grain = random.pick(GRAINS)
  const to = Math.floor(random.below(bytes.length) / grain) * grain
  const moved = patched(bytes, at, bytes.subarray(to, to + length))
  return {
    file,
    bytes: patched(moved, to, bytes.subarray(at, at + length)),
    what: `${length} bytes at ${at} and at ${to} of ${name(file)} swapped`,
  }
}

/** The first bytes of a file say whose it is: with those of another fold it is another, as far as they go. */
const HEAD_BYTES = 512

export const spliced: Damager = (files, random, other) => {
  const bodies = new Map([...files].filter(([, { length }]) => length > HEAD_BYTES))
  const { file, bytes, at: somewhere, length } = somePiece(bodies.size > 0 ? bodies : files, random)
  const at = Math.min(Math.max(somewhere, HEAD_BYTES), bytes.length - 1)
  const donors = [...other.values()].filter((each) => each.length > at)
  const donor = other.get(file) ?? donors[0] ?? new Uint8Array()
  const piece = donor.subarray(at, at + length)
  return {
    file,
    bytes: patched(bytes, at, piece),
    what: `${piece.length} bytes of another fold at ${at} of ${name(file)}`,
  }
}

export const foreign: Damager = (files, random) => {
  const { file, bytes } = somewhere(files, random)
  const text = new TextEncoder().encode('#!/bin/sh\necho this belongs to somebody else\n')
  const strange = random.pick([
    text,
    random.bytes(1 + random.below(bytes.length)),
    new Uint8Array(4_096).fill(0xff),
  ])
  return { file, bytes: strange, what: `${strange.length} bytes of somebody else in place of ${name(file)}` }
}

export const removed: Damager = (files, random) => {
  const file = random.pick([...files.keys()])
  return { file, bytes: undefined, what: `${name(file)} removed` }
}

function somewhere(files: FoldFiles, random: SeededRandom): { file: string; bytes: Uint8Array } {
  const [file, bytes] = random.pick([...files].filter(([, { length }]) => length > 0))
  return { file, bytes }
}

/** At byte, sector or page boundaries; never longer than the file. */
function somePiece(
  files: FoldFiles,
  random: SeededRandom,
): { file: string; bytes: Uint8Array; at: number; length: number } {
  const { file, bytes } = somewhere(files, random)
  const grain = random.pick(GRAINS)
  const at = Math.floor(random.below(bytes.length) / grain) * grain
  const length = Math.min(grain === 1 ? 1 + random.below(600) : grain, bytes.length - at)
  return { file, bytes, at, length }
}

function patched(bytes: Uint8Array, at: number, patch: Uint8Array): Uint8Array {
  const damaged = Uint8Array.from(bytes)
  damaged.set(patch.subarray(0, damaged.length - at), at)
  return damaged
}

function name(file: string): string {
  return file === '' ? 'the file' : file
}

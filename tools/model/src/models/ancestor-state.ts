import { Layout, type State } from '../explorer/layout.ts'

export interface AncestorOptions {
  readonly name: string
  readonly exporters: number
  readonly revisions: number
  /**
   * `pointer`: payloads that are written once, and a pointer that is swapped. `registers`: one payload and one manifest,
   * each overwritten by whoever comes.
   */
  readonly transport: 'pointer' | 'registers'
  /** What becomes of a fold below the floor: repaired, repaired unless that fails unnoticed, or nothing. */
  readonly resync: 'failstop' | 'degrade' | 'none'
  /** The properties that are asked; where there are none, every state is visited whatever is wrong. @default all */
  readonly asks?: readonly string[]
}

/** Where an exporter is. */
export const IDLE = 0
export const EXPORTED = 1
export const UPLOADED = 2
export const DONE = 3

/** Where the importer is. */
export const START = 0
export const READ = 1
export const IMPORTED = 2
export const TORN = 3
export const MISSED = 4
export const SYNCED = 5
export const STALE = 6

export type AncestorFields = {
  readonly head: number
  /** When the sentinel key was deleted; 0 for not. */
  readonly deletedAt: number
  /** Nothing at or below it is left in the log. */
  readonly floor: number
  readonly applied: readonly [number, number]
  readonly exporter: readonly [number, number]
  /** The cursor of what each exporter has in hand, or was done with. */
  readonly cursor: readonly [number, number]
  readonly hasKey: readonly [number, number]
  /** An artifact, as `artifact` makes it; 0 for none. */
  readonly manifest: number
  readonly payload: number
  /** Whether the payload of each artifact is in the store. */
  readonly uploaded: readonly [number, number]
  readonly regressed: number
  readonly refused: number
  readonly importer: number
  readonly got: number
}

export type AncestorState = State<AncestorFields>

/** The fields, and the artifacts, of one size. An artifact is who exported it, at which cursor, with the key or without. */
export class AncestorShape {
  readonly layout: Layout<AncestorFields>
  readonly exporters: readonly number[]
  readonly artifacts: readonly number[]
  readonly #revisions: number

  constructor({ exporters, revisions, transport }: AncestorOptions) {
    this.#revisions = revisions
    const count = 2 * exporters * revisions
    this.exporters = Array.from({ length: exporters }, (_, n) => n)
    this.artifacts = Array.from({ length: count }, (_, index) => index + 1)
    const payloads = transport === 'pointer' ? 1 : count + 1
    this.layout = new Layout<AncestorFields>({
      head: revisions + 1,
      deletedAt: revisions + 1,
      floor: revisions + 1,
      applied: [exporters, revisions + 1],
      exporter: [exporters, 4],
      cursor: [exporters, revisions + 1],
      hasKey: [exporters, 2],
      manifest: count + 1,
      payload: payloads,
      uploaded: [transport === 'pointer' ? count : 0, 2],
      regressed: 2,
      refused: 2,
      importer: 7,
      got: count + 1,
    })
  }

  artifact(exporter: number, cursor: number, hasKey: number): number {
    return 1 + 2 * (exporter * this.#revisions + cursor - 1) + hasKey
  }

  exporterOf(artifact: number): number {
    return Math.floor((artifact - 1) / 2 / this.#revisions)
  }

  /** 0 for no artifact. */
  cursorOf(artifact: number): number {
    return artifact === 0 ? 0 : (Math.floor((artifact - 1) / 2) % this.#revisions) + 1
  }

  hasKey(artifact: number): boolean {
    return (artifact - 1) % 2 === 1
  }

  show(artifact: number): string {
    if (artifact === 0) return ''
    return `${this.exporterOf(artifact)} @${this.cursorOf(artifact)}${this.hasKey(artifact) ? ' k' : ''}`
  }
}

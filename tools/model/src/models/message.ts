/**
 * A message of a bucket as a small number: 0 for none, else one number for each revision, era and kind.
 * The era counts the breaks of history (recreated, rolled back) before the write, so two messages with
 * one revision and different eras are different messages, and carry different server times.
 */
export class Messages {
  readonly values: number
  readonly #eras: number

  constructor(revisions: number, eras: number) {
    this.#eras = eras
    this.values = 1 + revisions * eras * 2
  }

  code(revision: number, era: number, marker: boolean): number {
    return 1 + ((revision - 1) * this.#eras + era) * 2 + (marker ? 1 : 0)
  }

  /** 0 for no message. */
  revision(code: number): number {
    return code === 0 ? 0 : 1 + Math.floor((code - 1) / 2 / this.#eras)
  }

  era(code: number): number {
    return ((code - 1) >> 1) % this.#eras
  }

  isLive(code: number): boolean {
    return code !== 0 && (code & 1) === 1
  }

  show(code: number): string {
    if (code === 0) return '-'
    return `${this.revision(code)}${"'".repeat(this.era(code))}${this.isLive(code) ? '' : 'x'}`
  }
}

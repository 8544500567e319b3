/** Everything that happened, as a running hash: two runs of one seed must give the same. */
export class Trace {
  lines = 0
  #low = 0x811c_9dc5
  #high = 0x9747_b28c
  readonly #print: ((line: string) => void) | undefined

  /** `print` gets each line too. */
  constructor(print?: (line: string) => void) {
    this.#print = print
  }

  note(line: string): void {
    this.lines++
    let low = this.#low
    let high = this.#high
    for (let i = 0; i < line.length; i++) {
      const unit = line.charCodeAt(i)
      low = Math.imul(low ^ unit, 0x0100_0193)
      high = Math.imul(high ^ unit, 0x5bd1_e995) ^ (high >>> 13)
    }
    this.#low = low ^ 10
    this.#high = high
    this.#print?.(line)
  }

  get hash(): string {
    return [this.#low, this.#high].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
  }
}

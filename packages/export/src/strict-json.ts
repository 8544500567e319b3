/** What a strict text can hold: of the numbers only whole ones from 0 to 2^53-1. */
export type StrictJson = null | boolean | number | string | readonly StrictJson[] | StrictObject
export type StrictObject = ReadonlyMap<string, StrictJson>

const DEEPEST = 8
const NUMBER = /(?:0|[1-9]\d{0,15})(?![\d.eE])/y
const WORD = /null|true|false/y
const SPACE = /[ \t\n\r]*/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * Parses JSON whose meaning no two readers can disagree about: valid UTF-8 without a mark in front, no
 * name twice in an object, no number that is rounded, no half of a surrogate pair. `SyntaxError`
 * otherwise.
 */
export function parseStrictJson(bytes: Uint8Array): StrictJson {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new SyntaxError('it is not UTF-8')
  }
  const parser = new Parser(text)
  const value = parser.value(0)
  parser.end()
  return value
}

class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): StrictJson {
    if (depth > DEEPEST) throw new SyntaxError('it is nested too deeply')
    this.#match(SPACE)
    const next = this.#text[this.#at]
    if (next === '{') return this.#object(depth)
    if (next === '[') return this.#array(depth)
    if (next === '"') return this.#string()
    const word = this.#match(WORD)
    if (word !== undefined) return word === 'null' ? null : word === 'true'
    const digits = this.#match(NUMBER)
    if (digits === undefined) throw this.#unexpected()
    const number = Number(digits)
    if (!Number.isSafeInteger(number)) throw new SyntaxError(`${digits} is too large a number`)
    return number
  }

  end(): void {
    this.#match(SPACE)
    if (this.#at < this.#text.length) throw this.#unexpected()
  }

  #object(depth: number): StrictObject {
    const fields = new Map<string, StrictJson>()
    this.#at++
    if (this.#skips('}')) return fields
    do {
      this.#match(SPACE)
      if (this.#text[this.#at] !== '"') throw this.#unexpected()
      const name = this.#string()
      if (fields.has(name)) throw new SyntaxError(`${JSON.stringify(name)} comes twice`)
      if (!this.#skips(':')) throw this.#unexpected()
      fields.set(name, this.value(depth + 1))
    } while (this.#skips(','))
    if (!this.#skips('}')) throw this.#unexpected()
    return fields
  }

  #array(depth: number): StrictJson[] {
    const items: StrictJson[] = []
    this.#at++
    if (this.#skips(']')) return items
    do items.push(this.value(depth + 1))
    while (this.#skips(','))
    if (!this.#skips(']')) throw this.#unexpected()
    return items
  }

  #string(): string {
    const from = this.#at++
    for (;;) {
      const next = this.#text.charCodeAt(this.#at)
      if (Number.isNaN(next)) throw new SyntaxError('it ends inside a string')
      if (next < 0x20) throw this.#unexpected()
      if (next === 0x5c) {
        if (this.#match(ESCAPE) === undefined) throw this.#unexpected()
      } else if (this.#text[this.#at++] === '"') break
    }
    const text = JSON.parse(this.#text.slice(from, this.#at)) as string
    if (LONE_SURROGATE.test(text)) throw new SyntaxError('it has half of a surrogate pair')
    return text
  }

  #skips(sign: string): boolean {
    this.#match(SPACE)
    if (this.#text[this.#at] !== sign) return false
    this.#at++
    return true
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const [found] = pattern.exec(this.#text) ?? []
    this.#at += found?.length ?? 0
    return found
  }

  #unexpected(): SyntaxError {
    return new SyntaxError(
      this.#at < this.#text.length ? `it cannot be read at character ${this.#at}` : 'it ends too early',
    )
  }
}

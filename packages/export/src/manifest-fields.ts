import { refused } from './artifact-error.ts'
import type { StrictJson, StrictObject } from './strict-json.ts'

const MOST_SHOWN = 80

/** Takes the fields of one object of a manifest, or of a list like it, each once; what is wrong with one names it. */
export class ManifestFields {
  readonly #fields: StrictObject
  readonly #where: string
  readonly #what: string
  readonly #taken = new Set<string>()

  /** `where` goes before the names: `''`, `files[0].`. */
  constructor(value: StrictJson, where: string, what = 'the manifest') {
    if (!(value instanceof Map))
      throw refused(where === '' ? `${what} is no object` : `${where.slice(0, -1)} is no object`)
    this.#fields = value as StrictObject
    this.#where = where
    this.#what = what
  }

  has(name: string): boolean {
    return this.#fields.has(name)
  }

  text(name: string): string {
    const value = this.#take(name)
    if (typeof value !== 'string') throw this.#wrong(name, 'is no text')
    return value
  }

  /** Text that is one of `allowed`. */
  oneOf<T extends string>(name: string, allowed: readonly T[]): T {
    const value = this.text(name)
    const found = allowed.find((each) => each === value)
    if (found === undefined) throw this.#wrong(name, `is ${shown(value)}`)
    return found
  }

  /** A whole number from 0 to 2^53-1. */
  count(name: string): number {
    const value = this.#take(name)
    if (typeof value !== 'number') throw this.#wrong(name, 'is no whole number')
    return value
  }

  flag(name: string): boolean {
    const value = this.#take(name)
    if (typeof value !== 'boolean') throw this.#wrong(name, 'is neither true nor false')
    return value
  }

  list(name: string): readonly StrictJson[] {
    const value = this.#take(name)
    if (!Array.isArray(value)) throw this.#wrong(name, 'is no list')
    return value as readonly StrictJson[]
  }

  texts(name: string): readonly string[] {
    return this.list(name).map((each) => {
      if (typeof each !== 'string') throw this.#wrong(name, 'has something that is no text')
      return each
    })
  }

  /** Any value. */
  value(name: string): StrictJson {
    return this.#take(name)
  }

  /** Refuses what was not taken. */
  end(): void {
    for (const name of this.#fields.keys())
      if (!this.#taken.has(name)) throw this.#wrong(shown(name), 'is not known')
  }

  #take(name: string): StrictJson {
    const value = this.#fields.get(name)
    if (value === undefined) throw this.#wrong(name, 'is missing')
    this.#taken.add(name)
    return value
  }

  #wrong(name: string, what: string): Error {
    return refused(`${this.#what}'s ${this.#where}${name} ${what}`)
  }
}

/** A text from outside as a message may hold it. */
export function shown(text: string): string {
  return JSON.stringify(text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text)
}

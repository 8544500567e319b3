/** A field has so many values, from 0; a row of fields is `[length, values of each]`. */
export type Fields = Readonly<Record<string, number | readonly [length: number, values: number]>>

/** A row of equal fields of a state. */
export interface Row {
  at(index: number): number
  set(index: number, value: number): void
}

/** One state: its fields read from, and written to, packed words. */
export type State<F extends Fields> = {
  -readonly [K in keyof F]: F[K] extends number ? number : Row
} & { readonly words: Int32Array }

const WORD_BITS = 32
const MAX_FIELD_BITS = 30

interface Place {
  readonly word: number
  readonly shift: number
  readonly mask: number
  readonly values: number
}

/**
 * Where each field of a state lies in its words. No field crosses a word; fields are placed in the
 * order they are declared, each in the first word with room.
 */
export class Layout<F extends Fields> {
  readonly words: number
  /** Of all fields together. */
  readonly bits: number
  readonly #state: new () => object

  /** RangeError for a field without values or of more than 2^30. */
  constructor(fields: F) {
    const used: number[] = []
    let bits = 0
    const place = (name: string, values: number): Place => {
      if (!(values >= 1 && values <= 2 ** MAX_FIELD_BITS))
        throw new RangeError(`field ${name} has ${values} values`)
      const width = Math.ceil(Math.log2(values))
      const found = used.findIndex((each) => each + width <= WORD_BITS)
      const word = found < 0 ? used.push(0) - 1 : found
      const shift = used[word]!
      used[word] = shift + width
      bits += width
      return { word, shift, mask: 2 ** width - 1, values }
    }
    const properties: PropertyDescriptorMap = {}
    for (const [name, shape] of Object.entries(fields))
      properties[name] =
        typeof shape === 'number'
          ? field(name, place(name, shape))
          : row(
              name,
              Array.from({ length: shape[0] }, () => place(name, shape[1])),
            )
    const words = Math.max(1, used.length)
    this.words = words
    this.bits = bits
    this.#state = class {
      readonly words = new Int32Array(words)
    }
    Object.defineProperties(this.#state.prototype, properties)
  }

  /** A state with every field 0. */
  state(): State<F> {
    return new this.#state() as State<F>
  }
}

interface Packed {
  readonly words: Int32Array
}

function field(name: string, { word, shift, mask, values }: Place): PropertyDescriptor {
  return {
    get(this: Packed): number {
      return (this.words[word]! >>> shift) & mask
    },
    set(this: Packed, value: number): void {
      if (!(value >= 0 && value < values)) throw new RangeError(`${name} cannot be ${value}`)
      this.words[word] = (this.words[word]! & ~(mask << shift)) | (value << shift)
    },
  }
}

function row(name: string, places: readonly Place[]): PropertyDescriptor {
  const { mask, values } = places[0] ?? { mask: 0, values: 0 }
  const wordOf = Int32Array.from(places, (place) => place.word)
  const shiftOf = Int32Array.from(places, (place) => place.shift)
  return {
    get(this: Packed): Row {
      const { words } = this
      const view: Row = {
        at: (index) => (words[wordOf[index]!]! >>> shiftOf[index]!) & mask,
        set: (index, value) => {
          if (!(value >= 0 && value < values)) throw new RangeError(`${name} cannot be ${value}`)
          const word = wordOf[index]!
          words[word] = (words[word]! & ~(mask << shiftOf[index]!)) | (value << shiftOf[index]!)
        },
      }
      // The words of a state never change place: one view serves its whole life.
      Object.defineProperty(this, name, { value: view })
      return view
    },
  }
}

/** A part: a whole state, or what makes one state of another, upon one base. */
export interface ModelPart {
  readonly base: number
  /** 0 in a base. */
  readonly from: number
  readonly to: number
}

/** What an archive has: the parts of which its payload is made, and those that it only keeps. */
export interface ModelContent {
  /** The state that it makes. */
  readonly makes: number
  /** Places of the parts in order, the base first. */
  readonly chain: readonly number[]
  readonly kept: readonly number[]
}

const MOST_LAYERS = 2

/**
 * All that can be listed for states that come one after the other, numbered from 1: each as a base, or as a layer upon
 * what may be listed for one before. The first content is none.
 */
export class PartLists {
  readonly parts: readonly ModelPart[]
  readonly contents: readonly ModelContent[]

  constructor(states: number) {
    const parts: ModelPart[] = []
    const lists: ModelContent[] = []
    const list = (makes: number, below: readonly number[], part: ModelPart): void => {
      const same = parts.findIndex(
        ({ base, from, to }) => base === part.base && from === part.from && to === part.to,
      )
      const place = same < 0 ? parts.push(part) - 1 : same
      lists.push({ makes, chain: [...below, place], kept: [] })
    }
    for (let to = 1; to <= states; to++) {
      const before = [...lists]
      list(to, [], { base: to, from: 0, to })
      for (const { makes, chain } of before)
        if (chain.length <= MOST_LAYERS) list(to, chain, { base: parts[chain[0]!]!.to, from: makes, to })
    }
    const replaced = lists
      .filter(({ chain }) => chain.length > 1)
      .map(({ makes, chain }) => ({ makes, chain: baseOf(lists, makes).chain, kept: chain }))
    this.parts = parts
    this.contents = [{ makes: 0, chain: [], kept: [] }, ...lists, ...replaced]
  }

  /** The state as a base of its own. */
  base(state: number): number {
    return this.contents.indexOf(baseOf(this.contents, state))
  }

  /** The state as one layer more upon the first `layers` of what `below` lists; 0 when they are too many. */
  layer(state: number, below: number, layers: number): number {
    const under = this.contents[below]!.chain.slice(0, layers + 1)
    return this.contents.findIndex(
      ({ makes, chain, kept }) =>
        makes === state &&
        kept.length === 0 &&
        chain.length === under.length + 1 &&
        under.every((part, i) => chain[i] === part),
    )
  }

  /**
   * What is put where something else is listed: `made`, and all that was listed, where `made` takes nothing over; no
   * other keeps anything.
   */
  inPlaceOf(made: number, found: number): number {
    const { chain } = this.contents[made]!
    const kept = this.partsOf(found)
    const both = this.contents.findIndex((each) => same(each.chain, chain) && same(each.kept, kept))
    return both < 0 ? made : both
  }

  /** Parts of others that a content needs. */
  takenOver(content: number): readonly number[] {
    const { makes, chain } = this.contents[content]!
    return chain.filter((part) => this.parts[part]!.to !== makes)
  }

  partsOf(content: number): readonly number[] {
    const { chain, kept } = this.contents[content]!
    return [...chain, ...kept]
  }

  showPart(place: number): string {
    const { base, from, to } = this.parts[place]!
    return from === 0 ? `b${to}` : `${from}>${to}${from === base ? '' : ` on b${base}`}`
  }

  show(content: number): string {
    const { chain, kept } = this.contents[content]!
    const shown = chain.map((part) => this.showPart(part)).join(' + ')
    return kept.length === 0 ? shown : `${shown} (${kept.map((part) => this.showPart(part)).join(', ')})`
  }
}

function baseOf(contents: readonly ModelContent[], state: number): ModelContent {
  return contents.find(
    ({ makes, chain, kept }) => makes === state && chain.length === 1 && kept.length === 0,
  )!
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i])
}

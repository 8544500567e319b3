import type { StoredMessage } from '@slip/kv-core'

/** One message of the modelled bucket; its time is unique, as no two histories share a moment. */
export interface ModelMessage extends StoredMessage {
  readonly removal: boolean
}

/** What a bucket of a server does to its messages, and what happens to such a bucket. */
export type ModelOp =
  | { readonly op: 'put' | 'delete' | 'purge' | 'cleanUp' | 'purgeKey'; readonly key: string }
  | { readonly op: 'evict' }
  /** Removes the n-th stored message. */
  | { readonly op: 'remove'; readonly nth: number }
  /** The newest messages are lost, and what they superseded stays lost; or all is as it was before. */
  | { readonly op: 'lose' | 'restore'; readonly steps: number }
  | { readonly op: 'recreate' }

export interface BucketState {
  readonly messages: readonly ModelMessage[]
  readonly last: bigint
  /** Every message this history was ever given. */
  readonly written: readonly ModelMessage[]
}

const EMPTY: BucketState = { messages: [], last: 0n, written: [] }

/** A bucket that keeps `historyPerKey` revisions of a key, and remembers each of its states. */
export class ModelBucket {
  readonly historyPerKey: number
  /** Messages that were removed one by one: what uncovers an older revision. */
  readonly removed = new Set<ModelMessage>()
  /** Whether it ever had another history than before. */
  rewound = false
  #states: BucketState[] = [EMPTY]
  #clockMs = 1_000

  constructor(historyPerKey: number) {
    this.historyPerKey = historyPerKey
  }

  get state(): BucketState {
    return this.#states.at(-1)!
  }

  get last(): bigint {
    return this.state.last
  }

  run(op: ModelOp): void {
    this.#states.push(this.#after(op))
  }

  at(revision: bigint): ModelMessage | undefined {
    return this.state.messages.find((message) => message.revision === revision)
  }

  newest(key: string): ModelMessage | undefined {
    return this.state.messages.findLast((message) => message.key === key)
  }

  firstAfter(revision: bigint): ModelMessage | undefined {
    return this.after(revision)[0]
  }

  /** Of the keys that are followed. */
  after(revision: bigint): readonly ModelMessage[] {
    return this.state.messages.filter((message) => message.revision > revision && isFollowed(message.key))
  }

  #after(op: ModelOp): BucketState {
    const { messages, last, written } = this.state
    switch (op.op) {
      case 'put':
      case 'delete':
      case 'purge':
        return this.#written(op.key, op.op)
      case 'cleanUp':
        return this.newest(op.key)?.removal === true
          ? { messages: without(messages, op.key), last, written }
          : this.state
      case 'purgeKey':
        return { messages: without(messages, op.key), last, written }
      case 'evict':
        return { messages: messages.slice(1), last, written }
      case 'remove': {
        const removed = messages[op.nth]
        if (removed !== undefined) this.removed.add(removed)
        return { messages: messages.filter((message) => message !== removed), last, written }
      }
      case 'lose': {
        const to = last > BigInt(op.steps) ? last - BigInt(op.steps) : 0n
        this.rewound ||= to < last
        const upTo = ({ revision }: ModelMessage): boolean => revision <= to
        return { messages: messages.filter(upTo), last: to, written: written.filter(upTo) }
      }
      case 'restore': {
        const before = this.#states.at(-1 - op.steps) ?? EMPTY
        const kept = before.messages.filter((message) => messages.includes(message))
        this.rewound ||= kept.length < Math.max(messages.length, before.messages.length) || before.last < last
        return before
      }
      default:
        this.rewound = true
        return EMPTY
    }
  }

  #written(key: string, op: 'put' | 'delete' | 'purge'): BucketState {
    const { messages, last, written: before } = this.state
    const revision = last + 1n
    const written = { key, revision, writtenAtMs: ++this.#clockMs, removal: op !== 'put' }
    const keep = op === 'purge' ? 1 : this.historyPerKey
    const own = [...messages.filter((message) => message.key === key), written].slice(-keep)
    const trimmed = messages.filter((message) => message.key !== key || own.includes(message))
    return { messages: [...trimmed, written], last: revision, written: [...before, written] }
  }
}

/** One key is out of scope: it moves the cursor and nothing else. */
export function isFollowed(key: string): boolean {
  return key !== 'z'
}

function without(messages: readonly ModelMessage[], key: string): readonly ModelMessage[] {
  return messages.filter((message) => message.key !== key)
}

import type { Protocol } from '@slip/kv-core'
import type { Row } from '../explorer/layout.ts'
import type { AttachShape, AttachState } from './attach-state.ts'

type Evidence = Parameters<Protocol['judgeHistory']>[0]
type Step = ReturnType<Protocol['judgeHistory']>
export type HistoryVerdict = Extract<Step, { readonly verdict: unknown }>['verdict']
type Message = NonNullable<Evidence['at'][number]>

/** No judgement needs as many questions. */
const MOST_QUESTIONS = 100
const MOST_KNOWN = 1_000_000

/** Asks the bucket about the history of a fold, as the rules want to know it. */
export class HistoryJudge {
  readonly #shape: AttachShape
  readonly #rules: Protocol
  /** A verdict is a function of what it is asked about, and asked for often. */
  readonly #known = new Map<number, HistoryVerdict>()

  constructor(shape: AttachShape, rules: Protocol) {
    this.#shape = shape
    this.#rules = rules
  }

  judge(s: AttachState, fold: Row, cursor: number): HistoryVerdict {
    const { messages, options, scoped } = this.#shape
    let key = cursor
    for (let k = 0; k < options.keys; k++) key = key * messages.values + s.bucket.at(k)
    for (let k = 0; k < scoped; k++) key = key * messages.values + fold.at(k)
    let verdict = this.#known.get(key)
    if (verdict === undefined) {
      verdict = judged(this.#shape, this.#rules, s, fold, cursor)
      if (this.#known.size === MOST_KNOWN) this.#known.clear()
      this.#known.set(key, verdict)
    }
    return verdict
  }
}

function judged(
  shape: AttachShape,
  rules: Protocol,
  s: AttachState,
  fold: Row,
  cursor: number,
): HistoryVerdict {
  const { messages, options, scoped } = shape
  const { anchors: most = 2 } = options
  const message = (key: number): Message | undefined => {
    const code = s.bucket.at(key)
    if (code === 0) return undefined
    return { key: `k${key}`, revision: BigInt(messages.revision(code)), writtenAtMs: code }
  }
  const inBucket = (keys: number): Message[] =>
    Array.from({ length: keys }, (_, key) => message(key)).filter((each) => each !== undefined)
  const known = Array.from({ length: scoped }, (_, key) => ({ key, code: fold.at(key) }))
    .filter(({ code }) => code !== 0)
    .sort((a, b) => messages.revision(b.code) - messages.revision(a.code))
  let evidence: Evidence = {
    anchors: known.slice(0, most).map(({ key, code }) => ({
      key: `k${key}`,
      revision: BigInt(messages.revision(code)),
      timeMs: BigInt(code),
    })),
    complete: known.length <= most,
    cursor: BigInt(cursor),
    historyPerKey: 1,
    at: [],
    firstAfter: [],
  }
  for (let question = 0; question < MOST_QUESTIONS; question++) {
    const step = rules.judgeHistory(evidence)
    if ('verdict' in step) return step.verdict
    switch (step.ask) {
      case 'at': {
        const all = inBucket(options.keys)
        const found = step.revisions.map((revision) => all.find((each) => each.revision === revision))
        evidence = { ...evidence, at: [...evidence.at, ...found] }
        break
      }
      case 'firstAfter': {
        const [answer] = inBucket(scoped)
          .filter(({ revision }) => revision > step.revision)
          .sort((a, b) => Number(a.revision - b.revision))
        evidence = { ...evidence, firstAfter: [...evidence.firstAfter, answer] }
        break
      }
      default:
        evidence = { ...evidence, newest: step.keys.map((key) => message(Number(key.slice(1)))) }
    }
  }
  throw new Error('the judgement of a history does not end')
}

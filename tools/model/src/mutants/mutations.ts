import { tokensOf, type Token } from './tokens.ts'

/** A change of one place of a source. */
export interface Mutation {
  /** The changed line, as it is after the change. */
  readonly line: string
  readonly source: string
}

const COMPARISONS: Readonly<Record<string, readonly string[]>> = {
  '===': ['!=='],
  '!==': ['==='],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
}
const PRECEDENCE: Readonly<Record<string, number>> = { '||': 1, '&&': 2 }
const OPENING = '([{'
const CLOSING = ')]}'
const BOUNDARIES = new Set([',', ';', '?', ':', '=', '=>', 'return', '??'])

/** Each comparison flipped and moved by one, each side of `&&` and `||` dropped, each number moved by one. */
export function mutationsOf(source: string): readonly Mutation[] {
  const tokens = tokensOf(source)
  const mutations: Mutation[] = []
  const change = (start: number, end: number, text: string): void => {
    const mutated = source.slice(0, start) + text + source.slice(end)
    const lineStart = mutated.lastIndexOf('\n', start - 1) + 1
    const lineEnd = mutated.indexOf('\n', start + text.length)
    const line = mutated
      .slice(lineStart, lineEnd < 0 ? undefined : lineEnd)
      .trim()
      .replaceAll(/\s+/g, ' ')
    mutations.push({ line, source: mutated })
  }
  for (const [at, token] of tokens.entries()) {
    for (const other of COMPARISONS[token.text] ?? []) change(token.start, token.end, other)
    if (token.text in PRECEDENCE) {
      change(operandStart(tokens, at), tokens[at + 1]!.start, '')
      change(token.start, operandEnd(tokens, at), '')
    }
    for (const other of neighbours(token.text)) change(token.start, token.end, other)
  }
  return mutations
}

function operandStart(tokens: readonly Token[], operator: number): number {
  const own = PRECEDENCE[tokens[operator]!.text]!
  let depth = 0
  let at = operator - 1
  for (; at >= 0; at--) {
    const { text } = tokens[at]!
    if (CLOSING.includes(text)) depth++
    else if (OPENING.includes(text) && depth-- === 0) break
    if (depth === 0 && ends(text, own)) break
  }
  return tokens[at + 1]!.start
}

function operandEnd(tokens: readonly Token[], operator: number): number {
  const own = PRECEDENCE[tokens[operator]!.text]!
  let depth = 0
  let at = operator + 1
  for (; at < tokens.length; at++) {
    const { text } = tokens[at]!
    if (OPENING.includes(text)) depth++
    else if (CLOSING.includes(text) && depth-- === 0) break
    if (depth === 0 && ends(text, own)) break
  }
  return tokens[at - 1]!.end
}

function ends(text: string, precedence: number): boolean {
  return BOUNDARIES.has(text) || (PRECEDENCE[text] ?? 3) <= precedence
}

function neighbours(text: string): readonly string[] {
  if (!/^\d/.test(text)) return []
  const big = text.endsWith('n')
  const value = BigInt(text.replaceAll('_', '').replace(/n$/, ''))
  const others = value === 0n ? [1n] : [value - 1n, value + 1n]
  return others.map((other) => `${other}${big ? 'n' : ''}`)
}

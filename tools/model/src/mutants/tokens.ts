export interface Token {
  readonly text: string
  readonly start: number
  readonly end: number
}

const TOKEN =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|[A-Za-z_$#][\w$]*|0x[\da-f_]+n?|\d[\d_]*n?|===|!==|=>|\?\?=|\|\|=|&&=|\?\?|\?\.(?!\d)|&&|\|\||<=|>=|==|!=|\.\.\.|[^\s]/gi

/** The tokens of compiled JavaScript, comments left out. Knows no regular expressions: the kernels have none. */
export function tokensOf(source: string): readonly Token[] {
  return [...source.matchAll(TOKEN)]
    .map((match) => ({ text: match[0], start: match.index, end: match.index + match[0].length }))
    .filter(({ text }) => !text.startsWith('//') && !text.startsWith('/*'))
}

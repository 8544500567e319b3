const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\/\/[^/\s@]*(?:@[^/\s@]*)*@/g, '//***@'],
  [/-{3,}BEGIN[^-]*-{3,}[\s\S]*?(?:-{3,}END[^-]*-{3,}|$)/g, '***'],
  [/eyJ[\w-]+\.[\w-]+(?:\.[\w-]+)?/g, '***'],
  [/\bS[UANOXC][A-Z2-7]{40,}/g, '***'],
]

/** Takes out what looks like a credential: the user part of a URL, PEM blocks, JWTs, nkey seeds. */
export function redact(text: string): string {
  return SECRETS.reduce((redacted, [pattern, mask]) => redacted.replace(pattern, mask), text)
}

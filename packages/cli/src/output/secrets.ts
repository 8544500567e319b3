const URL_WITH_USER = /\/\/[^/\s@]*(?:@[^/\s@]*)*@/g

/** The user part of URLs masked: a command line may be quoted in what is said about it. */
export function withoutSecrets(text: string): string {
  return text.replace(URL_WITH_USER, '//***@')
}

import { expect, test } from 'vitest'

const CHECKS = new URL('../../repo/readme-checks.mjs', import.meta.url).href

test("every README's example compiles, and the first one runs with the packages alone and ends", async () => {
  const { checkReadmes } = (await import(CHECKS)) as { readonly checkReadmes: () => Promise<number> }
  expect(await checkReadmes()).toBe(0)
}, 120_000)

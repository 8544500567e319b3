// Puts an object whose body never ends, or raises a number by compare-and-swap until it is killed.
import { directoryObjects } from '@slip/export'

const [, , directory, what] = process.argv
const store = directoryObjects(directory)

async function* hanging() {
  yield new Uint8Array(300_000)
  process.stdout.write('begun\n')
  await new Promise((resolve) => setTimeout(resolve, 600_000))
}

if (what === 'hang') await store.put('hung', hanging())
process.stdout.write('begun\n')
for (;;) {
  const found = await store.get('number')
  let text = ''
  for await (const piece of found.body) text += new TextDecoder().decode(piece)
  const next = new TextEncoder().encode(String(Number(text) + 1))
  if ((await store.put('number', next, { condition: { etag: found.etag } })) !== 'conflict')
    process.stdout.write('+')
}

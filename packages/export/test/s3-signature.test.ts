import { expect, test } from 'vitest'
import { encodeS3, signedHeaders } from '../src/objects/s3-signature.ts'

// The examples that Amazon's documentation of signature version 4 for S3 gives, with its keys.
const KEYS = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}
const NOW = new Date('2013-05-24T00:00:00Z')

test.each([
  ['/test.txt', { range: 'bytes=0-9' }, 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41'],
  ['/?lifecycle=', {}, 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
  ['/?max-keys=2&prefix=J', {}, '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
])('GET %s', (path, headers, signature) => {
  const signed = signedHeaders(
    {
      method: 'GET',
      url: new URL(`https://examplebucket.s3.amazonaws.com${path}`),
      headers,
      payload: new Uint8Array(),
      region: 'us-east-1',
      now: NOW,
    },
    KEYS,
  )
  expect(signed['authorization']).toMatch(new RegExp(`Signature=${signature}$`))
})

test('what a name may hold is encoded as S3 does', () => {
  expect(encodeS3("a b+c/d'(e)*!~-._")).toBe('a%20b%2Bc%2Fd%27%28e%29%2A%21~-._')
})

import { expect, test, vi } from 'vitest'
import { encodeS3, signedHeaders } from '../src/objects/s3-signature.ts'
import { S3Signing } from '../src/objects/s3-signing.ts'

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

test('the bucket is asked where a redirect says that it is, and no name but that of a region becomes part of a host', async () => {
  for (const name of ['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_S3']) vi.stubEnv(name, undefined)
  const signing = new S3Signing({ bucket: 'routes', region: 'us-east-1', credentials: () => KEYS })
  vi.unstubAllEnvs()
  const redirect = (region: string): Response =>
    new Response(null, { status: 301, headers: { 'x-amz-bucket-region': region } })
  expect(signing.base).toBe('https://routes.s3.us-east-1.amazonaws.com')
  for (const region of ['evil.example/', 'a@evil', 'EU', '', 'us-east-1'])
    expect(await signing.learn(redirect(region), '')).toMatchObject({ learned: false })
  expect(signing.base).toBe('https://routes.s3.us-east-1.amazonaws.com')
  expect(await signing.learn(redirect('eu-west-3'), '')).toMatchObject({ learned: true })
  expect(signing.base).toBe('https://routes.s3.eu-west-3.amazonaws.com')
})

import { bin, exec } from './exec.mjs'

/** More than these are no accident of a busy machine. */
const MOST_TESTS = 3

/**
 * Whether the test files of a package that failed pass when nothing else runs. These machines are shared: a
 * test that waits for real servers may fail beside others for want of time. Whatever fails every time fails.
 */
export async function passApart(directory, { testResults }, env) {
  const failed = testResults.filter(({ status }) => status === 'failed')
  const tests = failed.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status === 'failed'),
  )
  const whole = failed.some(({ assertionResults }) =>
    assertionResults.every(({ status }) => status !== 'failed'),
  )
  if (whole || tests.length === 0 || tests.length > MOST_TESTS) return false
  const files = failed.map(({ name }) => name)
  const args = ['run', '--maxWorkers=1', '--reporter=default', ...files]
  const options = { env, cwd: directory, stdio: ['ignore', 'inherit', 'inherit'] }
  return (await exec(bin('vitest'), args, options)) === 0
}

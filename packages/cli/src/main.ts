#!/usr/bin/env node
import { reportBug, run } from './run.ts'

const args = process.argv.slice(2)
process.on('uncaughtException', (error) => process.exit(reportBug(args, error)))
// A connection attempt that was given up, on a server that does not answer, would keep the process.
process.exit(await run(args))

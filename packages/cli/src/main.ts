#!/usr/bin/env node
import { reportBug, run } from './run.ts'

const args = process.argv.slice(2)
process.on('uncaughtException', (error) => process.exit(reportBug(args, error)))
process.exitCode = await run(args)

/** Takes a file of delegations over, in a process of its own for a test that kills it: delegations-process.js ROOT FILE. */
import { readFileSync, writeSync } from 'node:fs'
import { openDesk } from './open-keyring.js'

const [root = '', file = ''] = process.argv.slice(2)
const { service } = await openDesk({ teardown: () => undefined }, { root })
writeSync(1, 'ready\n')
await service.keyring.takeDelegations('lease', readFileSync(file, 'utf8'), 'test')
writeSync(1, 'taken\n')

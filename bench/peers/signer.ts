/** A peer of the bench "activation": crypto.sign and nothing else. `signer.js KEY COUNT` prints what it took, in seconds. */
import { constants, createPrivateKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { serialOf, uuidOf } from '../activation/laptops.js'

const [file = '', count = '0'] = process.argv.slice(2)
const key = createPrivateKey({ key: readFileSync(file), format: 'der', type: 'pkcs1' })
const how = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 8 }

const signOne = (number: number) =>
  sign('sha256', Buffer.from(`${serialOf(number)}:${uuidOf(number)}:K:20300101T000000Z`), how)

for (let number = 0; number < 200; number += 1) signOne(number)
const began = { time: performance.now(), work: process.cpuUsage() }
for (let number = 0; number < Number(count); number += 1) signOne(number)
const { user, system } = process.cpuUsage(began.work)
const taken = { seconds: (performance.now() - began.time) / 1000, work: (user + system) / 1e6 }
process.stdout.write(`${JSON.stringify(taken)}\n`)

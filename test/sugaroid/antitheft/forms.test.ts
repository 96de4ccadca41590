import { test } from 'tap'
import { checkDelegation, checkStick, readAntitheftKey, readBundle } from '../../../sugaroid/index.js'
import {
  laptop,
  now,
  publicKey,
  publicKeys,
  serial,
  sig01,
  uuid,
  vector,
} from '../../support/sugaroid/antitheft-vectors.js'

test('a file of delegations has one for each laptop, behind one space or two', async (t) => {
  const all = { serial, keys: publicKeys(['lease', 'oats']), now }
  const laptops = vector('laptops.csv').toString().trim().split('\n')
  t.equal(laptops.length, 3)
  const lease = vector('delegations/d-lease.sig')
  for (const line of laptops) {
    const [sn = ''] = line.split(',')
    const signee = { ...all, serial: sn }
    t.match(checkDelegation(lease, signee, publicKey('server')), { verdict: /^valid$/ }, sn)
    t.match(checkDelegation(lease, signee, publicKey('region')), { verdict: 'invalid' }, sn)
  }
  const wide = lease.toString().replaceAll('del01: ', 'del01:  ')
  t.match(checkDelegation(wide, all, publicKey('server')), { verdict: /^valid$/ })
  const late = { ...all, now: '20300101T000001Z' }
  t.match(checkDelegation(lease, late, publicKey('server')), { verdict: 'invalid', reason: /ran out/ })
  const nobody = { ...all, serial: 'SHC00000000' }
  t.match(checkDelegation(lease, nobody, publicKey('server')), { verdict: 'no-match' })
  t.match(checkDelegation(vector('delegations/d-oats.sig'), all, publicKey('server')), { verdict: /^valid$/ })
  const lone = sig01('lease', `key01: ${publicKey('server').hex}\n`)
  t.match(checkDelegation(lone, all, publicKey('server')), { verdict: 'invalid' })
  t.match(checkDelegation(`del01: ${serial} ${uuid} ${lone}`, all, publicKey('server')), {
    verdict: 'invalid',
  })
})

test('a stick has bare lines or a bundle as laptops write them', async (t) => {
  const bundle = vector('cjson/leases.cjson')
  t.same([...readBundle(bundle).keys()], ['CSN74805706', 'SHC94700123', 'SHF80600A54'])
  t.match(checkStick(bundle, laptop('lease')), { verdict: /^valid$/, expiry: '20300101T000000Z' })
  t.match(checkStick(vector('leases/v1.sig'), laptop('lease')), { verdict: /^valid$/ })
  const nobody = { ...laptop('lease'), serial: 'SHC00000000' }
  t.match(checkStick(bundle, nobody), { verdict: 'no-match', reason: 'no lease in it is for SHC00000000' })
  const verdictOf = (text: string) => checkStick(Buffer.from(text), laptop('lease'))
  const stringified = verdictOf(vector('cjson/BAD-json-escaped-newlines.json').toString())
  t.match(stringified, { verdict: 'invalid', reason: /an escape other than \\" and \\\\ at byte 6\d\d/ })
  const text = bundle.toString()
  const faults: Record<string, [string, RegExp]> = {
    'white space': [text.replace('[1,', '[1, '), /no value at byte 3/],
    'something behind': [`${text}\n`, /something behind the end/],
    'another version': [text.replace('[1,', '[2,'), /no '\[1,'/],
    'no end': [text.slice(0, -2), /no '}'/],
    'half a lease': [text.slice(0, 400), /a string without an end/],
    'keys out of order': ['[1,{"B":"","A":""}]', /a key that is out of order/],
    'a key twice': ['[1,{"A":"","A":""}]', /a key that is out of order/],
    'no leases': ['[1,["A"]]', /holds no object/],
    'a lease that is none': ['[1,{"A":1}]', /the lease of A is no string/],
    'a fraction': ['[1,{"A":1.5}]', /no value/],
  }
  for (const [name, [faulty, reason]] of Object.entries(faults)) {
    t.match(verdictOf(faulty), { verdict: 'invalid', reason }, name)
  }
  t.same(
    [...readBundle(Buffer.from('[1,{"a\\"b":"c\\\\d","é":"\n"}]'))],
    [
      ['a"b', 'c\\d'],
      ['é', '\n'],
    ],
  )
})

test('of a public key the firmware takes 270 bytes and no other form', async (t) => {
  const raw = vector('keys/lease.public')
  const text = vector('keys/lease.key01')
  t.equal(readAntitheftKey(raw)?.id, raw.subarray(-32).toString('hex'))
  t.equal(readAntitheftKey(text)?.hex, raw.toString('hex'))
  const spki = publicKey('lease').object.export({ type: 'spki', format: 'der' })
  const pem = publicKey('lease').object.export({ type: 'pkcs1', format: 'pem' })
  const strangers: (Buffer | string)[] = [
    spki,
    pem,
    vector('keys/lease.private'),
    raw.subarray(1),
    Buffer.concat([raw, Buffer.from('\n')]),
    Buffer.alloc(270),
    Buffer.from(raw.map((byte, at) => (at === 269 ? 3 : byte))), // the exponent 65539
    Buffer.from(raw.map((byte, at) => (at === 9 ? byte & 0x7f : byte))), // 2047 bits
    text.toString().toUpperCase(),
    `${text}\n`,
    `${text}${text}`,
    '',
  ]
  for (const [at, bytes] of strangers.entries())
    t.equal(readAntitheftKey(Buffer.from(bytes)), undefined, `${at}`)
})

import { test } from 'tap'
import {
  checkDelegation,
  checkDeveloperKey,
  checkLease,
  checkOats,
  checkRtcReset,
} from '../../../sugaroid/index.js'
import {
  cases,
  laptop,
  now,
  publicKey,
  publicKeys,
  serial,
  sig01,
  sig02,
  signed,
  uuid,
  vector,
} from '../../support/sugaroid/antitheft-vectors.js'

interface Case {
  readonly id: string
  readonly kind: 'lease' | 'devkey' | 'rtc'
  readonly file: string
  readonly trusted: readonly string[]
  readonly serial: string
  readonly uuid: string
  readonly now: string
  readonly expect: string
  readonly why: string
}

interface OtherCase extends Omit<Case, 'id' | 'kind' | 'uuid'> {
  readonly nonce: string
  readonly target: string
}

const never = '00000000T000000Z'
const checks = { lease: checkLease, devkey: checkDeveloperKey, rtc: checkRtcReset }
const payload = (expiry: string): string => `${serial}:${uuid}:K:${expiry}`

test('each file of the real tools gets the verdict that a laptop gives on it', async (t) => {
  const all = cases<Case[]>('cases.json')
  t.ok(all.length >= 19, `${all.length} cases`)
  for (const { id, kind, file, trusted, expect, why, ...rest } of all) {
    const { verdict, reason } = checks[kind](vector(file), { ...rest, keys: publicKeys(trusted) })
    t.equal(verdict, expect, `${id}: ${why}`)
    t.ok(reason.length > 10 && !reason.includes(rest.uuid), reason)
  }
})

test('each answer of OATS and each delegation of the real tools gets its verdict', async (t) => {
  const { oats, delegations } = cases<{ oats: OtherCase[]; delegations: OtherCase[] }>('cases-other.json')
  t.equal(oats.length + delegations.length, 6)
  for (const { file, trusted, expect, why, nonce, ...rest } of oats) {
    const { verdict, reason } = checkOats(vector(file), { ...rest, keys: publicKeys(trusted) }, nonce)
    t.equal(verdict, expect, `${why}: ${reason}`)
  }
  for (const { file, trusted, expect, target, ...rest } of delegations) {
    const signee = { ...rest, keys: publicKeys(trusted) }
    const { verdict, reason } = checkDelegation(vector(file), signee, publicKey(target))
    t.equal(verdict, expect, `${rest.serial} to ${target}: ${reason}`)
  }
})

test('the reason tells people what to mend', async (t) => {
  const reasonOf = (name: string) => checkLease(vector(name), laptop('lease')).reason
  t.match(reasonOf('leases/v1-expired.sig'), /^line 1: the lease ran out at 20200101T000000Z, and it is 2027/)
  t.match(
    reasonOf('leases/v1-rogue.sig'),
    /^line 1: the laptop does not know the key 0bf58117.{46}0203010001$/,
  )
  t.match(reasonOf('tampered/v1-sig-bitflip.sig'), /^line 1: the signature does not fit/)
  t.match(reasonOf('leases/chain1-outlives-delegation.sig'), /link 1 of 2 ran out at 20250101T000000Z/)
  t.match(reasonOf('tampered/chain1-delegated-key-bitflip.sig'), /link 1 of 2 does not fit/)
  t.match(reasonOf('tampered/v1-leading-blank-line.sig'), /^line 1 does not begin with 'act01: '/)
  t.match(reasonOf('cjson/leases.cjson'), /^line 1 does not begin with 'act01: '/)
  t.match(reasonOf('leases/multi.sig'), /^signed with the key 6c4dc43e/)
  t.match(reasonOf('leases/chain2.sig'), /^signed through 2 delegations of the key 6c4dc43e/)
  const other = { ...laptop('lease'), serial: 'SHC00000000' }
  t.match(checkLease(vector('leases/multi.sig'), other), {
    verdict: 'no-match',
    reason: 'no line in it is for SHC00000000',
  })
  t.match(checkLease('', other), { verdict: 'no-match', reason: 'there is no line in it' })
})

test('a lease counts until the first of all that it rests on runs out', async (t) => {
  const expiryOf = (file: Buffer | string) => checkLease(file, laptop('lease'))
  t.match(expiryOf(vector('leases/v1.sig')), { expiry: '20300101T000000Z' })
  t.match(expiryOf(vector('leases/chain1.sig')), { expiry: '20290601T000000Z' }, 'the lease runs out first')
  const chain = [
    ['lease', '20280101T000000Z'],
    ['server', never],
  ] as const
  const long = `act01: ${serial} K 20300101T000000Z ${sig02(chain, payload('20300101T000000Z'))}`
  t.match(expiryOf(long), { verdict: /^valid$/, expiry: '20280101T000000Z' }, 'the delegation runs out first')
  const endless = `act01: ${serial} K ${never} ${sig01('lease', payload(never))}`
  t.match(expiryOf(endless), { verdict: /^valid$/, expiry: never })
})

test('a file is read line by line, and what is no lease ends it', async (t) => {
  const good = vector('leases/v1.sig').toString()
  const rogue = vector('leases/v1-rogue.sig').toString()
  const [other = ''] = vector('leases/multi.sig').toString().split('\n')
  const verdictOf = (text: string) => checkLease(text, laptop('lease')).verdict
  t.equal(verdictOf(`${other}\n${rogue}${good}`), 'valid', 'an unknown key is passed over')
  t.equal(verdictOf(`${other}\n${good}\n\n# the end`), 'valid', 'what comes after it is not read')
  t.equal(verdictOf(good.trimEnd()), 'valid', 'the last line needs no end')
  t.equal(verdictOf(`${other}\n\n${good}`), 'invalid', 'a blank line')
  t.equal(verdictOf(`${other}\n# mine\n${good}`), 'invalid', 'a comment')
  t.equal(verdictOf(`${other}\r\n${good.replace('\n', '\r\n')}`), 'valid', 'CRLF')
  t.equal(verdictOf(`\ufeff${good}`), 'invalid', 'a byte order mark')
  t.equal(verdictOf(good.slice(0, 300)), 'invalid', 'half a line')
  t.equal(verdictOf(good.replace(' K ', '  K ')), 'invalid', 'two spaces')
  t.equal(verdictOf(good.replace(' K ', ' A ')), 'invalid', 'something else than a lease')
  t.equal(verdictOf(good.replace('sig01', 'sig03')), 'invalid', 'there is no sig03')
  t.equal(verdictOf(good.replace('sha256', 'md5')), 'invalid', 'nor is there md5')
  t.equal(verdictOf(good.replace('sha256', 'constructor')), 'invalid')
  t.equal(
    verdictOf(`act01: SHC00000000 ${'x'.repeat(8173)}\n${good}`),
    'invalid',
    'a line of 8193 bytes with its LF',
  )
  t.equal(verdictOf(`act01: SHC00000000 ${'x'.repeat(8172)}\n${good}`), 'valid', 'one of 8192')
})

test('a laptop whose clock is before 2007 takes no lease', async (t) => {
  const at = (clock: string) => checkLease(vector('leases/v1.sig'), { ...laptop('lease'), now: clock })
  t.match(at('19700101T000000Z'), { verdict: 'invalid', reason: /19700101T000000Z: before 2007/ })
  t.match(at('20061231T235959Z'), { verdict: 'invalid' })
  t.match(at('20070101T000000Z'), { verdict: /^valid$/ })
})

test('a signature must have a salt of 8 bytes, and any of three hashes', async (t) => {
  const lease = (how: Parameters<typeof sig01>[2]) =>
    checkLease(`act01: ${serial} K ${never} ${sig01('lease', payload(never), how)}`, laptop('lease'))
  for (const saltLength of [0, 7, 9, 20, 32]) {
    t.match(lease({ saltLength }), { verdict: 'invalid', reason: /does not fit/ }, `${saltLength} bytes`)
  }
  t.match(lease({}), { verdict: /^valid$/ })
  t.match(lease({ hash: 'sha512' }), { verdict: /^valid$/ })
  // OpenSSL may have been built without it, and then says so.
  const { verdict, reason } = await Promise.resolve()
    .then(() => lease({ hash: 'rmd160' }))
    .catch(() => ({ verdict: 'valid', reason: 'OpenSSL here cannot sign with it' }))
  t.equal(verdict, 'valid', reason)
})

test('a chain is as long as a line, and no link may be swapped', async (t) => {
  const names = ['lease', 'region', 'server', 'developer', 'oats', 'rogue', 'region', 'server']
  const chain = (links: number) => names.slice(0, links).map((name) => [name, never] as const)
  const lease = (links: number) => `act01: ${serial} K ${never} ${sig02(chain(links), payload(never))}`
  t.match(checkLease(lease(7), laptop('lease')), { verdict: /^valid$/, reason: /through 6 delegations/ })
  t.match(checkLease(lease(8), laptop('lease')), { verdict: 'invalid', reason: /8191 bytes/ })
  t.match(checkLease(lease(2), laptop('region')), { verdict: 'no-match' }, 'a delegate is no authority')
  const whole = lease(2).replace(publicKey('lease').id, publicKey('lease').hex)
  t.match(checkLease(whole, laptop('lease')), { verdict: /^valid$/ }, 'the first key may be written in full')
  const byId = lease(2).replace(publicKey('region').hex, publicKey('region').id)
  t.match(
    checkLease(byId, laptop('lease')),
    { verdict: 'invalid', reason: /not written as/ },
    'any other must be',
  )
  const shouted = lease(2).replace(publicKey('region').hex, publicKey('region').hex.toUpperCase())
  t.match(checkLease(shouted, laptop('lease')), { verdict: 'invalid' }, 'in lower case')
  const server = publicKey('server').hex
  const delegated = sig01('lease', `key01: ${server}\n`).trimEnd()
  const loose = `${delegated} sha256 ${server} ${signed('server', payload(never))}\n`
  t.match(
    checkLease(`act01: ${serial} K ${never} ${loose}`, laptop('lease')),
    { verdict: 'invalid' },
    'a sig01 has one link',
  )
  const foreign = sig02(chain(2), payload(never), 'CSN74805706')
  t.match(
    checkLease(`act01: ${serial} K ${never} ${foreign}`, laptop('lease')),
    { verdict: 'invalid' },
    'a delegation is for one laptop',
  )
})

test('a lease, a developer key and a new time are never taken for each other', async (t) => {
  const { keys: all } = laptop('lease', 'developer', 'oats')
  const everything = { ...laptop(), keys: all }
  const files = { lease: 'leases/v1.sig', devkey: 'devkeys/develop.sig', rtc: 'rtc/rtcreset.sig' } as const
  for (const [kind, check] of Object.entries(checks)) {
    for (const [other, file] of Object.entries(files)) {
      t.equal(
        check(vector(file), everything).verdict,
        kind === other ? 'valid' : 'invalid',
        `${kind} ${other}`,
      )
    }
  }
  const chained = sig02([['developer', never]], `${serial}:${uuid}:A:${never}`)
  const devkey = checkDeveloperKey(`dev01: ${serial} A ${never} ${chained}`, everything)
  t.match(devkey, { verdict: 'invalid', reason: /a sig01/ }, 'a developer key has no sig02')
})

test('a new time is for the clock and the nonce that asked for it', async (t) => {
  const clock = '20110512T003512Z'
  const check = (file: string | Buffer, asked?: { clock: string; nonce: string }) =>
    checkRtcReset(file, laptop('lease'), asked)
  const made = vector('rtc/rtcreset.sig')
  t.match(check(made, { clock, nonce: '0000000135' }), { verdict: /^valid$/, time: '20110412T003512Z' })
  t.match(check(made, { clock, nonce: '0000000136' }), { verdict: 'invalid', reason: /nonce is 0000000135/ })
  t.match(check(made, { clock: now, nonce: '0000000135' }), {
    verdict: 'invalid',
    reason: /for a clock at 2011/,
  })
  const front = `rtc01: ${serial} ${clock} 0000000007 ${now} `
  const content = `${serial}:${uuid}:${clock}:0000000007:${now}`
  const chain = (last: string) =>
    sig02(
      [
        ['lease', '20300101T000000Z'],
        ['server', last],
      ],
      content,
    )
  t.match(check(front + chain(never)), { verdict: /^valid$/, time: now, expiry: '20300101T000000Z' })
  t.match(check(front + chain('20300101T000000Z')), { verdict: 'invalid', reason: /its last link says 2030/ })
})

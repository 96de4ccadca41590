import fc from 'fast-check'
import t from 'tap'
import { checkBundle } from '../../../plugins/keyring/verify/bundle.js'
import { checkDelegation, checkDelegations } from '../../../plugins/keyring/verify/delegation.js'
import { checkDeveloperKeys } from '../../../plugins/keyring/verify/developer.js'
import { checkLease, checkLeases } from '../../../plugins/keyring/verify/lease.js'
import { checkOats } from '../../../plugins/keyring/verify/oats.js'
import { checkResets } from '../../../plugins/keyring/verify/rtcreset.js'
import type { LeaseQuestion, Verdict } from '../../../plugins/keyring/verify/verdict.js'
import { parseBundle } from '../../../plugins/keyring/wire/bundle.js'
import { never } from '../../../plugins/keyring/wire/moment.js'
import { checkLease as checkThere, readAntitheftKey } from '../../../sugaroid/index.js'
import {
  ana,
  cases,
  lease,
  link,
  otherCases,
  others,
  publicKey,
  sig01,
  vector,
} from '../../support/keyring/keyring-vectors.js'
import { runs } from '../../support/rounds.js'

t.setTimeout(300_000)

const at = '20270101T000000Z'
const ask = (more: Partial<LeaseQuestion> = {}): LeaseQuestion => ({
  ...ana,
  at,
  trusted: [publicKey('lease')],
  ...more,
})
/** What a laptop does not know of itself here. */
const { uuid: _, ...withoutUuid } = ask()

const first = (verdicts: Iterable<{ verdict: Verdict }>): Verdict | undefined => [...verdicts][0]?.verdict

/** What Ana's laptop makes of a file of leases. */
const ofLeases = (text: string, question = ask()) => first(checkLeases(text, [question]))

t.test('the verdict of the firmware on everything that the real tools made', (t) => {
  const checks = { lease: checkLeases, devkey: checkDeveloperKeys, rtc: checkResets }
  for (const { id, kind = 'lease', file, trusted, serial, uuid, now, expect, why } of cases) {
    const question = { serial, uuid, at: now, trusted: trusted.map(publicKey) }
    const found = first(checks[kind](vector(file), [question]))
    t.match(found, { verdict: expect, reason: /\S/, unchecked: undefined }, `${id}: ${why}`)
  }
  for (const { file, trusted, serial, nonce, now, expect, why } of otherCases.oats) {
    const question = { serial, nonce, at: now, trusted: trusted.map(publicKey) }
    t.match(checkOats(vector(file), question), { verdict: expect, unchecked: undefined }, `${expect}: ${why}`)
  }
  for (const { file, trusted, serial, target, now, expect, why } of otherCases.delegations) {
    const question = { at: now, trusted: trusted.map(publicKey), delegate: publicKey(target) }
    const found = checkDelegation(vector(file).trimEnd(), serial, question)
    t.match(found, { verdict: expect, unchecked: undefined }, `${expect}: ${why}`)
  }
  t.end()
})

t.test('a lease', async (t) => {
  await t.test('counts until the first end of its links, and says whose keys it goes through', async (t) => {
    const [lease, region, server] = ['lease', 'region', 'server'].map((name) => publicKey(name).id)
    t.match(ofLeases(vector('leases/chain2.sig')), {
      verdict: /^valid$/,
      expiry: '20290601T000000Z',
      keys: [lease, region, server],
      reason: `is signed by ${lease?.slice(0, 12)}, then ${region?.slice(0, 12)}, then ${server?.slice(0, 12)} in a sig02`,
    })
    t.match(ofLeases(vector('leases/v1.sig')), { expiry: '20300101T000000Z', keys: [lease] })
  })

  await t.test('is refused with the reason in words', async (t) => {
    const cases: [file: string, reason: string][] = [
      ['leases/v1-expired.sig', 'line 1 ended at 20200101T000000Z, and'],
      [
        'leases/v1-rogue.sig',
        `line 1 is signed by ${publicKey('rogue').id.slice(0, 12)}, which is no trusted key`,
      ],
      ['leases/chain1-outlives-delegation.sig', 'line 1 has a link, 1 of 2, that ended at 20250101T000000Z'],
      ['tampered/v1-sig-bitflip.sig', `line 1 is not what ${publicKey('lease').id.slice(0, 12)} signed`],
      ['tampered/v1-leading-blank-line.sig', 'line 1 is blank, and a laptop reads no further'],
      [
        'tampered/chain1-delegated-key-bitflip.sig',
        `line 1 has a link, 1 of 2, that does not let the next key sign for ${ana.serial}`,
      ],
      ['devkeys/develop.sig', 'line 1 does not begin with "act01: "'],
    ]
    for (const [file, reason] of cases) t.match(ofLeases(vector(file))?.reason, reason, file)
    t.match(ofLeases('')?.reason, `nothing in it is for ${ana.serial}`)
  })

  await t.test('is checked as far as it can be when the uuid is not known, and says so', async (t) => {
    for (const { id, kind, file, trusted, serial, now, expect } of cases) {
      if (kind !== 'lease') continue
      const found = ofLeases(vector(file), { serial, at: now, trusted: trusted.map(publicKey) })
      // One digit of the last signature says nothing to those who cannot check it.
      const seems = id === 'v1-sig-bitflip' ? 'valid' : expect
      t.match(found, { verdict: seems, unchecked: seems === 'valid' ? /^no uuid/ : undefined }, id)
    }
  })

  await t.test('holds for one laptop: its serial and its uuid, to the letter', async (t) => {
    const line = lease('lease')
    t.match(checkLease(line, ask()), { verdict: /^valid$/ })
    for (const uuid of [ana.uuid.toLowerCase(), others[0]?.uuid ?? '', ''])
      t.match(checkLease(line, ask({ uuid })), { verdict: 'invalid', reason: /^is not what / })
    const [other = ana] = others
    t.match(checkLease(line, ask(other)), { verdict: 'no-match', reason: `is for ${ana.serial}` })
    const moved = line.replace(ana.serial, other.serial)
    t.match(checkLease(moved, ask(other)), { verdict: 'invalid' }, 'under another name it is nothing')
    const small = line.replace(ana.serial, ana.serial.toLowerCase())
    t.match(checkLease(small, ask()), { verdict: 'no-match' })
  })

  await t.test('is not taken while the clock is before 2007, not even one that never ends', async (t) => {
    const dead = ask({ at: '20061231T235959Z' })
    for (const expiry of ['20300101T000000Z', never])
      t.match(checkLease(lease('lease', { expiry }), dead), { verdict: 'invalid', reason: /before 2007/ })
    t.match(checkLease(lease('lease'), ask({ at: '20070101T000000Z' })), { verdict: /^valid$/ })
  })

  await t.test('is signed with sha256: a laptop reads no other hash there', async (t) => {
    for (const hash of ['sha512', 'rmd160'] as const)
      t.match(checkLease(lease('lease', { hash }), ask()), {
        verdict: 'invalid',
        reason: `is signed with ${hash}, where laptops want sha256`,
      })
  })

  await t.test('may name its first key whole', async (t) => {
    const { id, hex } = publicKey('lease')
    t.match(checkLease(lease('lease').replace(id, hex), ask()), { verdict: /^valid$/ })
    const stranger = lease('rogue').replace(publicKey('rogue').id, publicKey('rogue').hex)
    t.match(
      checkLease(stranger, ask()),
      { verdict: 'no-match' },
      'and a whole key is trusted no more for that',
    )
  })

  await t.test('goes through as many links as fit into a line, and no more', async (t) => {
    const { serial, uuid } = ana
    const expiry = '20300101T000000Z'
    const chain = (length: number, whole = false) => {
      // Each hands over to the next; `region` and `server` in turns.
      const names = [
        'lease',
        ...Array.from({ length: length - 1 }, (_, n) => (n % 2 === 0 ? 'region' : 'server')),
      ]
      const links = names.map((name, n) => {
        const next = names[n + 1]
        const payload = next === undefined ? `${serial}:${uuid}:K:${expiry}` : publicKey(next).key01
        return link(name, { serial, expiry, payload, whole: whole || n > 0 })
      })
      return `act01: ${serial} K ${expiry} sig02: ${links.join(' ')}`
    }
    t.match(checkLease(chain(7), ask()), { verdict: /^valid$/ })
    for (const line of [chain(8), chain(8, true)])
      t.match(checkLease(line, ask()), { verdict: 'invalid', reason: /longer than the 8191 bytes/ })
    const [before] = checkLeases(`${chain(8)}\n${lease('lease', others[0])}`, [ask(others[0])])
    t.match(
      before?.verdict,
      { verdict: 'invalid', reason: /^line 1 is longer/ },
      'nor may another laptop have more',
    )
  })

  await t.test('whose delegation is for another laptop is refused', async (t) => {
    const { serial, uuid } = ana
    const expiry = '20300101T000000Z'
    const chain = (whose: string) =>
      [
        link('lease', { serial: whose, expiry, payload: publicKey('server').key01 }),
        link('server', { serial, expiry, payload: `${serial}:${uuid}:K:${expiry}`, whole: true }),
      ].join(' ')
    const line = (whose: string) => `act01: ${serial} K ${expiry} sig02: ${chain(whose)}`
    t.match(checkLease(line(serial), ask()), { verdict: /^valid$/ })
    t.match(checkLease(line(others[0]?.serial ?? ''), ask()), { verdict: 'invalid', reason: /does not let/ })
  })

  await t.test('of which any one character was changed is never valid', async (t) => {
    const files = [
      'leases/v1.sig',
      'leases/v2.sig',
      'leases/chain2.sig',
      'node-made/mixed-node-delegation-c-lease.sig',
    ]
    const trusted = ['lease', 'n-lease'].map(publicKey)
    const lines = files.map((file) => vector(file).trimEnd())
    for (const line of lines) t.match(checkLease(line, ask({ trusted })), { verdict: /^valid$/ })
    const hex = fc.constantFrom(...'0123456789abcdef')
    const any = fc.constantFrom(...' ~:0KZT\r\u0000')
    const edit = fc.record({
      line: fc.constantFrom(...lines),
      place: fc.nat(),
      sign: fc.oneof({ weight: 9, arbitrary: hex }, any),
    })
    const property = fc.property(edit, ({ line, place, sign }) => {
      const where = place % line.length
      fc.pre(line[where] !== sign)
      const changed = `${line.slice(0, where)}${sign}${line.slice(where + 1)}`
      return checkLease(changed, ask({ trusted })).verdict !== 'valid'
    })
    t.doesNotThrow(() => fc.assert(property, runs(3000)))
  })

  await t.test(
    'is never valid when it is made of anything, and nothing that is thrown at it throws',
    async (t) => {
      const word = fc.oneof(
        fc.constantFrom(
          'act01:',
          'sig01:',
          'sig02:',
          'sha256',
          'K',
          ana.serial,
          at,
          never,
          publicKey('lease').id,
        ),
        fc.stringMatching(/^[0-9a-f]{512}$/),
        fc.stringMatching(/^[89a-f][0-9a-f]{510}[13579bdf]$/).map((n) => `3082010a0282010100${n}0203010001`),
        fc.string({ unit: 'binary', maxLength: 20 }),
      )
      const head = fc.constantFrom(
        '',
        `act01: ${ana.serial} K 20300101T000000Z sig02: `,
        lease('lease').slice(0, -512),
      )
      const property = fc.property(head, fc.array(word, { maxLength: 12 }), (start, words) => {
        const text = start + words.join(' ')
        return [checkLease(text, ask()), ofLeases(text)].every((found) => found?.verdict !== 'valid')
      })
      t.doesNotThrow(() => fc.assert(property, runs(2000)))
    },
  )
})

t.test('a file of leases', async (t) => {
  const good = lease('lease')
  const [bruno = ana] = others
  const stranger = lease('lease', bruno)
  const expired = lease('lease', { expiry: '20250101T000000Z' })
  const word = (line: string) => ofLeases(line)?.verdict

  await t.test('is read line by line until one is for this laptop', async (t) => {
    t.match(ofLeases([stranger, stranger, good].join('\n')), { verdict: /^valid$/, reason: /^line 3 / })
    t.equal(word(`${stranger}\n\n${good}`), 'invalid', 'a blank line ends it')
    t.equal(word(`# ours\n${good}`), 'invalid', 'as a comment does')
    t.equal(word(`${good}\n\n# ours\n`), 'valid', 'but not behind the lease')
    t.equal(word(`${expired}\n${good}`), 'invalid', 'an old lease in front ends it')
    t.equal(word(`${good}\n${expired}`), 'valid')
    t.equal(word(`${lease('rogue')}\n${good}`), 'valid', 'one of a key that nobody knows is passed over')
    t.equal(
      word(`${good.replace('sig01:', 'sig03:')}\n${good}`),
      'valid',
      'as is a signature of another kind',
    )
    t.equal(word(`${stranger}\n${lease('rogue')}\n`), 'no-match')
    t.equal(word(`\ufeff${good}`), 'invalid', 'a byte order mark is no part of a tag')
    t.equal(word(`${'act01: '.padEnd(9000, 'x')}\n${good}`), 'invalid', 'a line has its limit')
  })

  await t.test('has line ends of either kind, the last one or none', async (t) => {
    for (const text of [
      good,
      `${good}\n`,
      `${good}\r\n`,
      `${stranger}\r\n${good}`,
      `${stranger}\n${good}\r\n`,
    ])
      t.equal(word(text), 'valid')
    t.equal(word(`${good}\r\r\n`), 'invalid')
  })

  await t.test(
    'that a laptop written from the facts alone accepts, is accepted here, and as long',
    async (t) => {
      const trusted = ['lease', 'n-lease'].map(publicKey)
      const keys = trusted.flatMap(({ der }) => readAntitheftKey(der) ?? [])
      t.equal(keys.length, trusted.length)
      const files = [
        'v1',
        'v2',
        'chain1',
        'chain2',
        'multi',
        'v1-expired',
        'v1-rogue',
        'chain1-outlives-delegation',
      ]
      const pool = [
        ...files.flatMap((name) => vector(`leases/${name}.sig`).trimEnd().split('\n')),
        stranger,
        '',
        '# ours',
      ]
      const made = fc.record({
        lines: fc.array(fc.constantFrom(...pool), { minLength: 1, maxLength: 4 }),
        end: fc.constantFrom('\n', '\r\n'),
        edits: fc.array(
          fc.tuple(
            fc.nat(),
            fc.nat({ max: 2 }),
            fc.constantFrom('', '0', 'a', ' ', '\n', '\r', 'Z', 'K', 'sig01:'),
          ),
          { maxLength: 1 },
        ),
      })
      let both = 0
      const property = fc.property(made, ({ lines, end, edits }) => {
        let text = lines.join(end)
        for (const [place, cut, added] of edits) {
          const where = place % (text.length + 1)
          text = text.slice(0, where) + added + text.slice(where + cut)
        }
        const here = ofLeases(text, ask({ trusted }))
        const there = checkThere(text, { ...ana, now: at, keys })
        if (there.verdict === 'valid') both += 1
        // Of a line whose signature has no form at all the facts do not say that a laptop passes over it.
        if (there.verdict !== 'valid') return here?.verdict !== 'valid' || text.includes('\n')
        return here?.verdict === 'valid' && here.expiry === there.expiry
      })
      t.doesNotThrow(() => fc.assert(property, runs(3000)))
      t.ok(both > runs(3000).numRuns / 30)
    },
  )

  await t.test('is looked at for many laptops in one go', async (t) => {
    const third = others[1] ?? ana
    const text = [stranger, expired, good].join('\n')
    const found = [...checkLeases(text, [ask(), ask(bruno), ask(third)])]
    t.match(Object.fromEntries(found.map(({ serial, verdict }) => [serial, verdict])), {
      [bruno.serial]: { verdict: /^valid$/, reason: /^line 1 / },
      [ana.serial]: { verdict: 'invalid', reason: /^line 2 ended/ },
      [third.serial]: { verdict: 'no-match', reason: `nothing in it is for ${third.serial}` },
    })
    const broken = [...checkLeases(`${stranger}\n\n${good}`, [ask(), ask(bruno)])]
    t.match(broken, [
      { verdict: { verdict: /^valid$/ } },
      { serial: ana.serial, verdict: { reason: /^line 2 is blank/ } },
    ])
  })

  await t.test('of many lines takes no longer for many laptops than for one', async (t) => {
    const serials = Array.from(
      { length: 20_000 },
      (_, n) => `ABC${n.toString(16).toUpperCase().padStart(8, '0')}`,
    )
    const text = serials.map((serial) => `act01: ${serial} K 20200101T000000Z sig01: \n`).join('')
    const began = performance.now()
    const found = [
      ...checkLeases(
        text,
        serials.map((serial) => ask({ serial })),
      ),
    ]
    t.equal(found.length, serials.length)
    t.ok(found.every(({ verdict }) => verdict.verdict === 'invalid'))
    t.ok(performance.now() - began < 5000)
  })
})

t.test('a bundle gives each laptop the lines under its serial, read as a file', async (t) => {
  const leases = parseBundle(vector('cjson/leases.cjson'))
  const laptops = [ana, ...others]
  const found = [
    ...checkBundle(
      leases,
      laptops.map((laptop) => ask(laptop)),
    ),
  ]
  t.match(
    found,
    laptops.map(({ serial }) => ({ serial, verdict: { verdict: /^valid$/, reason: /^line 1 / } })),
  )
  const ofAna = (lines: string) => first(checkBundle(new Map([[ana.serial, lines]]), [ask()]))
  t.match(ofAna(`\n${lease('lease')}\n`), { verdict: 'invalid', reason: /^line 1 is blank/ })
  t.match(first(checkBundle(new Map(), [ask()])), { verdict: 'no-match' })
})

t.test('a developer key', async (t) => {
  const line = vector('devkeys/develop.sig')
  const trusted = [publicKey('developer')]
  t.match(first(checkDeveloperKeys(line, [ask({ trusted })])), { verdict: /^valid$/, expiry: never })
  t.match(
    first(checkDeveloperKeys(line, [ask()])),
    { verdict: 'no-match' },
    'is not for the key of leases to sign',
  )
  t.match(first(checkDeveloperKeys(line, [{ ...withoutUuid, trusted }])), { unchecked: /^no uuid/ })
  t.match(first(checkDeveloperKeys(line.replace(' A ', ' K '), [ask({ trusted })])), { verdict: 'invalid' })
  const dead = ask({ trusted, at: '19700101T000000Z' })
  t.match(
    first(checkDeveloperKeys(line, [dead])),
    { verdict: /^valid$/ },
    'unlocks a laptop with a dead clock',
  )
})

t.test('a reset of the clock', async (t) => {
  const line = vector('rtc/rtcreset.sig')
  t.match(first(checkResets(line, [ask()])), {
    verdict: /^valid$/,
    reason: /for a clock that says 20110512T003512Z and shows the number 0000000135$/,
  })
  const rogue = ask({ trusted: [publicKey('rogue')] })
  t.match(first(checkResets(line, [rogue])), { verdict: 'invalid' }, 'by a strange key ends the file')
  t.match(first(checkResets(line.replace('0135', '0136'), [ask()])), { verdict: 'invalid' })
  t.match(first(checkResets(line.replace('0000000135', '135'), [ask()])), { verdict: 'invalid' })

  const { serial, uuid } = ana
  const [current, nonce, next] = ['20110512T003512Z', '0000000135', '20110412T003512Z']
  const delegated = [
    link('lease', { serial, expiry: '20300101T000000Z', payload: publicKey('server').key01 }),
    link('server', {
      serial,
      expiry: never,
      payload: [serial, uuid, current, nonce, next].join(':'),
      whole: true,
    }),
  ]
  const chain = `rtc01: ${serial} ${current} ${nonce} ${next} sig02: ${delegated.join(' ')}`
  t.match(first(checkResets(chain, [ask()])), { verdict: /^valid$/, expiry: '20300101T000000Z' })
  const dead = ask({ at: '19700101T000000Z' })
  t.match(first(checkResets(chain, [dead])), { verdict: /^valid$/ }, 'is there for dead clocks')
  const payload = [serial, uuid, current, nonce, next].join(':')
  const ending = link('server', { serial, expiry: '20300101T000000Z', payload, whole: true })
  t.match(
    first(
      checkResets(`rtc01: ${serial} ${current} ${nonce} ${next} sig02: ${delegated[0]} ${ending}`, [ask()]),
    ),
    { verdict: 'invalid', reason: /last link ends at 20300101T000000Z/ },
  )
})

t.test('delegations', async (t) => {
  const text = vector('delegations/d-lease.sig')
  const known = new Map([ana, ...others].map(({ serial, uuid }) => [serial, uuid]))
  const question = { at, trusted: [publicKey('lease')], delegate: publicKey('server') }
  const check = (file: string, more = {}) => [
    ...checkDelegations(file, { ...question, ...more }, (serial) => known.get(serial)),
  ]
  t.match(
    check(text),
    [ana, ...others].map(({ serial }) => ({ serial, verdict: { verdict: /^valid$/ } })),
  )
  t.match(check(text.replaceAll('\n', '\r\n\r\n')).length, 3, 'blank lines are nobody’s')
  t.match(check(text.replaceAll('del01: ', 'del01:  ')), [{ verdict: { verdict: /^valid$/ } }, {}, {}])
  t.match(check(text, { delegate: undefined })[0]?.verdict, { verdict: /^valid$/, unchecked: /^no key/ })
  t.match(
    check(text, { delegate: publicKey('region') })[0]?.verdict.reason,
    /does not let \w{12} sign for SHC/,
  )
  t.match(check(text, { at: '20310101T000000Z' })[0]?.verdict, { verdict: 'invalid', reason: /ended at/ })
  t.match(check(text, { trusted: [publicKey('oats')] })[0]?.verdict, { verdict: 'no-match' })

  known.set(ana.serial, others[0]?.uuid ?? '')
  const [wrong] = check(text)
  t.match(wrong?.verdict, { verdict: 'invalid', reason: "line 1 has another uuid than the laptop's" })
  t.notMatch(
    JSON.stringify(check(text)),
    new RegExp(`${ana.uuid}|${others[0]?.uuid}`),
    'no reason tells a uuid',
  )
  t.match(check(`${text}act01: x\n`)[3], {
    serial: undefined,
    verdict: { verdict: 'invalid', reason: /^line 4 / },
  })
  t.match(checkDelegation(sig01('lease', 'x'), ana.serial, question), {
    verdict: 'invalid',
    reason: 'has a sig01, which cannot hand over to another key',
  })
})

t.test('an answer of OATS', async (t) => {
  const text = vector('oats/resp.cjson')
  const question = { at, trusted: [publicKey('oats')], serial: ana.serial, nonce: '12345678' }
  t.match(checkOats(text, question), { verdict: /^valid$/, reason: /says that it is 20270101T000000Z$/ })
  t.match(checkOats(text, { ...question, serial: undefined }), { verdict: /^valid$/, unchecked: undefined })
  t.match(checkOats(text, { ...question, nonce: undefined }), { verdict: /^valid$/, unchecked: /^no nonce/ })
  t.match(checkOats(text, { ...question, trusted: [publicKey('lease')] }), { verdict: 'no-match' })
  t.match(checkOats(text, { ...question, nonce: '87654321' }), { reason: /^answers another nonce/ })

  const inner = '["oatc-resp",1,{"lease":"act01: ä\n","nonce":"N","time":"20270101T000000Z"}]'
  const utf8 = Buffer.from(inner).toString('latin1')
  const answer = (...lines: string[]) =>
    `["oatc-signed-resp",1,[${utf8},["sig",1,[${lines.map((line) => `"${line}\n"`).join(',')}]]]]`
  const asked = { ...question, nonce: 'N' }
  t.match(checkOats(answer(sig01('oats', utf8)), asked), { verdict: /^valid$/ }, 'bytes are bytes')
  t.match(checkOats(answer(sig01('rogue', utf8), sig01('oats', utf8)), asked), { verdict: /^valid$/ })
  t.match(checkOats(answer(sig01('oats', utf8, 'sha512')), asked), { verdict: 'invalid' })
  t.match(checkOats(answer(), asked), { verdict: 'no-match' })
  const odd = answer(sig01('oats', utf8)).replace('["sig",1,[', '["sig",1,[{},[],1,null,')
  t.match(checkOats(odd, asked), { verdict: /^valid$/ }, 'what is no text is no signature')

  const { serial } = ana
  const links = [
    link('oats', { serial, expiry: '20300101T000000Z', payload: publicKey('server').key01 }),
    link('server', { serial, expiry: never, payload: utf8, whole: true }),
  ]
  const delegated = answer(`sig02: ${links.join(' ')}`)
  t.match(checkOats(delegated, asked), { verdict: /^valid$/, expiry: '20300101T000000Z' })
  t.match(checkOats(delegated, { ...asked, serial: undefined }), { unchecked: /^no serial/ })
  t.match(checkOats(delegated, { ...asked, serial: 'SHC00000000' }), { verdict: 'invalid' })

  for (const [from, to] of [
    ['"time"', '"timf"'],
    ['{"nonce":"12345678",', '{'],
    ['"sig",1', '"sig",2'],
    ['"oatc-resp"', ' "oatc-resp"'],
    ['[["oatc-resp"', '["oatc-resp"'],
    ['20270101T', '20271301T'],
  ] as const)
    t.match(checkOats(text.replace(from, to), question), { verdict: 'invalid' }, `${from} as ${to}`)
})

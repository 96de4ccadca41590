import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { formatBundle, isBundle, parseBundle } from '../../../plugins/keyring/wire/bundle.js'
import { type Canonical, formatCanonical, parseCanonical } from '../../../plugins/keyring/wire/canonical.js'
import { PublicKey } from '../../../plugins/keyring/wire/key.js'
import { parseSerial } from '../../../plugins/keyring/wire/laptop.js'
import {
  earliest,
  formatMoment,
  hasPassed,
  isExpiry,
  isLater,
  never,
  parseMoment,
} from '../../../plugins/keyring/wire/moment.js'
import {
  effectiveExpiry,
  formatLine,
  type Line,
  parseLease,
  parseLine,
} from '../../../plugins/keyring/wire/record.js'
import {
  formatSignature,
  type Hash,
  type Link,
  type Mark,
  parseSignature,
  type Signature,
} from '../../../plugins/keyring/wire/signature.js'
import { publicKey, vector } from '../../support/keyring/keyring-vectors.js'
import { runs } from '../../support/rounds.js'

t.setTimeout(300_000)

/** What a parser makes of a text; undefined when it refuses it with an error that says why. */
function read<T>(parse: (text: string) => T, text: string): T | undefined {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof Error) || error.constructor !== Error || error.message === '') throw error
    return undefined
  }
}

const hex = (digits: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`))
const moment = fc.oneof(
  fc
    .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
    .map(formatMoment),
  fc.constant(never),
)
const hash = fc.constantFrom<Hash[]>('sha256', 'sha512', 'rmd160')
const mark = fc
  .tuple(hash, fc.oneof(hex(64), hex(540)), hex(512))
  .map(([hash, key, signature]): Mark => ({ hash, key, signature }))
const link = (digits: number) =>
  fc
    .tuple(hash, hex(digits), moment, hex(512))
    .map(([hash, key, expiry, signature]): Link => ({ hash, key, expiry, signature }))
const sig01 = mark.map((one): Signature => ({ version: 1, mark: one }))
const sig02 = fc
  .tuple(fc.oneof(link(64), link(540)), fc.array(link(540), { maxLength: 6 }))
  .map(([one, more]): Signature => ({ version: 2, links: [one, ...more] }))
const signature = fc.oneof(sig01, sig02)
const serial = fc.stringMatching(/^[A-Z]{3}[0-9A-F]{8}$/)
const nonce = fc.stringMatching(/^\d{10}$/)
const line: fc.Arbitrary<Line> = fc.oneof(
  fc
    .tuple(serial, moment, signature)
    .map(([serial, expiry, signature]): Line => ({ kind: 'lease', serial, expiry, signature })),
  fc.tuple(serial, signature).map(([serial, signature]): Line => ({ kind: 'developer', serial, signature })),
  fc
    .tuple(serial, moment, nonce, moment, signature)
    .map(([serial, current, nonce, next, signature]): Line => {
      return { kind: 'rtcreset', serial, current, nonce, next, signature }
    }),
  fc
    .tuple(serial, fc.uuid(), sig02)
    .map(([serial, uuid, signature]): Line => ({ kind: 'delegation', serial, uuid, signature })),
)

/** One edit of a text: cut, added to, or changed in one place. */
const edited = (text: fc.Arbitrary<string>) =>
  fc
    .tuple(
      text,
      fc.nat(),
      fc.nat({ max: 3 }),
      fc.oneof(
        fc.constantFrom(' ', '\n', '\r', '0', 'A', ':', '"', '\\', ''),
        fc.string({ unit: 'binary', maxLength: 3 }),
      ),
    )
    .map(([whole, place, cut, added]) => {
      const where = place % (whole.length + 1)
      return whole.slice(0, where) + added + whole.slice(where + cut)
    })

const holds = (
  t: { doesNotThrow(fn: () => void): unknown },
  property: fc.IRawProperty<unknown>,
  numRuns = 1000,
) => t.doesNotThrow(() => fc.assert(property as fc.IProperty<unknown>, runs(numRuns)))

t.test('signatures', async (t) => {
  await t.test('are read as they were written', async (t) => {
    holds(
      t,
      fc.property(signature, (one) => {
        assert.deepEqual(parseSignature(formatSignature(one)), one)
      }),
      200,
    )
  })
  await t.test('are written as they were read, whatever was read', async (t) => {
    let taken = 0
    holds(
      t,
      fc.property(edited(signature.map(formatSignature)), (text) => {
        const found = read(parseSignature, text)
        if (found === undefined) return
        taken += 1
        assert.equal(formatSignature(found), text)
      }),
      3000,
    )
    t.ok(taken > 0)
  })
  await t.test('have the form of the facts and no other', async (t) => {
    const good = vector('leases/chain2.sig').trimEnd().slice(38)
    t.match(parseSignature(good), { version: 2, links: { length: 3 } })
    const { id, hex } = publicKey('lease')
    const sig = 'ab'.repeat(256)
    const end = '20300101T000000Z'
    for (const [text, why] of [
      ['', /no "sig01:" or "sig02:"/],
      ['sig03: sha256', /no "sig01:" or "sig02:"/],
      ['zsig01: x', /no "sig01:" or "sig02:"/],
      [`sig01: sha1 ${id} ${sig}`, /not "hash key signature"/],
      [`sig01: sha256 ${id}  ${sig}`, /not "hash key signature"/],
      [`sig01: sha256 ${id.toUpperCase()} ${sig}`, /not "hash key signature"/],
      [`sig01: sha256 ${id.slice(2)} ${sig}`, /not "hash key signature"/],
      [`sig01: sha256 ${id} ${sig}\n`, /not "hash key signature"/],
      [`sig01: sha256 ${id} ${sig} `, /not "hash key signature"/],
      [`sig02: sha256 ${id} ${sig}`, /not made of 1 to 7 links/],
      [`sig02: sha256 ${id} 20301301T000000Z ${sig}`, /ends at 20301301T000000Z, which is no time/],
      [
        `sig02: sha256 ${id} ${end} ${sig} sha256 ${id} ${end} ${sig}`,
        /behind the first that does not hold a whole key/,
      ],
      [`sig02: ${Array(8).fill(`sha256 ${hex} ${end} ${sig}`).join(' ')}`, /not made of 1 to 7 links/],
    ] as const)
      t.throws(() => parseSignature(text), { message: why }, text.slice(0, 30))
  })
})

t.test('lines', async (t) => {
  await t.test('are read as they were written', async (t) => {
    holds(
      t,
      fc.property(line, (one) => {
        const text = formatLine(one)
        // Seven links and a uuid are more than a line holds.
        fc.pre(text.length <= 8191)
        assert.deepEqual(parseLine(text), one)
        if (one.kind === 'lease')
          assert.equal(
            effectiveExpiry(one),
            earliest([one.expiry, effectiveExpiry({ ...one, expiry: never })]),
          )
      }),
      200,
    )
  })
  await t.test('are written as they were read, whatever was read', async (t) => {
    holds(
      t,
      fc.property(edited(line.map(formatLine)), (text) => {
        const found = read(parseLine, text)
        if (found === undefined) return
        // Of the two ways to write del01 one is written.
        assert.equal(formatLine(found), text.replace(/^del01: {2}/, 'del01: '))
      }),
      3000,
    )
  })
  await t.test('of the real tools are written back byte for byte', async (t) => {
    for (const file of [
      'leases/multi.sig',
      'leases/chain2.sig',
      'devkeys/develop.sig',
      'rtc/rtcreset.sig',
      'delegations/d-lease.sig',
      'delegations/d-oats.sig',
    ])
      for (const text of vector(file).trimEnd().split('\n')) t.equal(formatLine(parseLine(text)), text, file)
  })
  await t.test('that are refused tell no uuid', async (t) => {
    const uuid = '8BF9AC40-26F8-4BCC-A699-BE51FD366419'
    const text = fc.constantFrom(...vector('delegations/d-lease.sig').trimEnd().split('\n'))
    holds(
      t,
      fc.property(edited(text), (bad) => {
        try {
          parseLine(bad)
        } catch (error) {
          return !String(error).includes(uuid.slice(10, 30))
        }
        return true
      }),
    )
  })
  await t.test('are not read for long, however long they are', async (t) => {
    const began = performance.now()
    for (const text of ['act01: ', `act01: ABC00000000 K ${never} sig02: `, 'del01: '])
      for (const filler of [' ', 'a', 'a ', '\r'])
        t.equal(read(parseLine, text + filler.repeat(4_000_000)), undefined)
    t.equal(read(parseSignature, `sig02: ${'a '.repeat(4_000_000)}`), undefined)
    t.equal(read(parseLease, 'act01: '.padEnd(8192, 'a ')), undefined)
    t.ok(performance.now() - began < 5000)
  })
})

t.test('moments', async (t) => {
  await t.test('are what their dates are, to the second', async (t) => {
    holds(
      t,
      fc.property(moment, moment, (one, other) => {
        assert.ok(isExpiry(one))
        if (one !== never) assert.equal(formatMoment(parseMoment(one) ?? new Date(0)), one)
        const time = (text: string) => parseMoment(text)?.getTime() ?? Number.POSITIVE_INFINITY
        assert.equal(isLater(one, other), time(one) > time(other))
        assert.equal(time(earliest([one, other])), Math.min(time(one), time(other)))
        if (other !== never) assert.equal(hasPassed(one, other), time(one) < time(other))
      }),
      500,
    )
    t.equal(earliest([]), never)
  })
  await t.test('are read strictly', async (t) => {
    const text = fc.oneof(edited(moment), fc.stringMatching(/^\d{8}T\d{6}Z$/), fc.string({ maxLength: 20 }))
    holds(
      t,
      fc.property(text, (some) => {
        const date = parseMoment(some)
        if (date !== undefined) assert.equal(formatMoment(date), some)
        assert.equal(isExpiry(some), some === never || date !== undefined)
      }),
    )
    for (const bad of [
      '',
      never,
      '20270229T000000Z',
      '20271301T000000Z',
      '20270101T240000Z',
      '20270101T000060Z',
      '20270101t000000z',
      '20270101T000000Z\n',
      '2027-01-01T00:00:00Z',
    ])
      t.equal(parseMoment(bad), undefined, bad)
    t.throws(() => formatMoment(new Date('+012345-01-01')), RangeError)
    t.throws(() => formatMoment(new Date(Number.NaN)), RangeError)
  })
})

const canonical = fc.letrec<{ value: Canonical }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.string({ unit: fc.constantFrom('a', 'b', '"', '\\', '\n', '\r', '\t', '\0', 'ñ', '😀', '\u2028') }),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom('__proto__', '1', '10', '2', 'toString')),
      tie('value'),
      { maxKeys: 4 },
    ),
  ),
})).value

t.test('canonical JSON', async (t) => {
  await t.test('is read as it was written, and written as it was read', async (t) => {
    holds(
      t,
      fc.property(canonical, (value) => {
        const text = formatCanonical(value)
        assert.equal(formatCanonical(parseCanonical(text)), text)
      }),
    )
    let taken = 0
    holds(
      t,
      fc.property(edited(canonical.map(formatCanonical)), (text) => {
        const found = read(parseCanonical, text)
        if (found === undefined) return
        taken += 1
        assert.equal(formatCanonical(found), text)
      }),
      3000,
    )
    t.ok(taken > 0)
  })
  await t.test('means what JSON means by the same value', async (t) => {
    holds(
      t,
      fc.property(canonical, (value) => {
        const plain = JSON.stringify(parseCanonical(formatCanonical(value)))
        assert.deepEqual(JSON.parse(plain), JSON.parse(JSON.stringify(value)))
      }),
    )
  })
  await t.test('has line ends raw, keys in order, integers, and no white space', async (t) => {
    t.equal(
      formatCanonical({ b: 'x\n"y"\\', a: [1, true, null] }),
      '{"a":[1,true,null],"b":"x\n\\"y\\"\\\\"}',
    )
    for (const [text, why] of [
      ['"a\\n"', 'at 3: the escape \\n, which laptops do not know'],
      ['"a\\', 'at 3: the escape \\'],
      ['"a', 'at 1: a text without its end'],
      ['{"b":1,"a":1}', 'keys that are not sorted'],
      ['{"a":1,"a":1}', 'twice the same'],
      ['{"a" :1}', 'at 4: no :'],
      ['[1, 2]', 'at 3: no value'],
      ['[1,]', 'no value'],
      ['01', 'no value'],
      ['-0', 'a number that is no integer'],
      ['9007199254740993', 'a number that is no integer'],
      ['1.5', 'no value'],
      ['1e3', 'no value'],
      ['', 'the end too early'],
      ['1 ', 'something behind the end'],
      ['['.repeat(1_000_000), 'more than 32 levels'],
    ] as const)
      t.match(
        messageOf(() => parseCanonical(text)),
        why,
        text.slice(0, 20),
      )
    t.throws(() => formatCanonical(0.5), RangeError)
    t.throws(() => formatCanonical(2 ** 53), RangeError)
  })
  await t.test('that is long is not read for long', async (t) => {
    const began = performance.now()
    t.equal(parseCanonical(`"${'a\\"'.repeat(2_000_000)}"`), 'a"'.repeat(2_000_000))
    t.equal((parseCanonical(`[${'"",'.repeat(500_000)}0]`) as unknown[]).length, 500_001)
    t.ok(performance.now() - began < 10_000)
  })
})

const messageOf = (fn: () => unknown): string => {
  try {
    fn()
  } catch (error) {
    return String((error as Error).message)
  }
  return 'nothing was thrown'
}

t.test('bundles', async (t) => {
  await t.test('of the real tools are written back byte for byte', async (t) => {
    const text = vector('cjson/leases.cjson')
    t.ok(isBundle(text))
    const leases = parseBundle(text)
    t.equal(leases.size, 3)
    t.equal(formatBundle(leases), text.trimEnd())
    t.equal(formatBundle(new Map([...leases].reverse())), text.trimEnd(), 'in whatever order')
  })
  await t.test('that a program for usual JSON wrote are refused with the reason', async (t) => {
    const text = vector('cjson/BAD-json-escaped-newlines.json')
    t.ok(JSON.parse(text))
    t.throws(() => parseBundle(text), {
      message: /^at 649: the escape \\n, which laptops do not know: line ends stand raw/,
    })
  })
  await t.test('hold lines by serial and nothing else', async (t) => {
    const leases = fc
      .dictionary(serial, fc.string({ unit: fc.constantFrom('a', '\n', '"', '\\') }))
      .map((all) => new Map(Object.entries(all)))
    holds(
      t,
      fc.property(leases, (all) => {
        assert.deepEqual([...parseBundle(formatBundle(all))].sort(), [...all].sort())
      }),
      200,
    )
    for (const bad of [
      '[]',
      '[1]',
      '[2,{}]',
      '[1,[]]',
      '[1,{},{}]',
      '[1,{"x":""}]',
      '[1,{"abc00000000":""}]',
      '[1,{"ABC00000000":1}]',
      '{}',
      '"',
      '[1,{}]x',
    ])
      t.equal(read(parseBundle, bad), undefined, bad)
    t.equal(parseBundle('[1,{}]\r\n').size, 0)
  })
})

t.test('keys', async (t) => {
  const key = publicKey('lease')
  t.equal(key.key01, vector('keys/lease.key01'))
  t.ok(PublicKey.fromKey01(key.key01).equals(key))
  t.ok(PublicKey.fromKey01(key.key01.replace('\n', '\r\n')).equals(key))
  t.match(key.id, /^[0-9a-f]{54}0203010001$/)
  const text = fc.constant(key.hex)
  let refused = 0
  holds(
    t,
    fc.property(edited(text), (some) => {
      const found = read(PublicKey.fromHex, some)
      if (found === undefined) refused += 1
      else assert.equal(found.hex, some)
    }),
  )
  t.ok(refused > runs(1000).numRuns / 10)
  const der = (edit: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(key.der)
    edit(bytes)
    return bytes
  }
  for (const [bytes, why] of [
    [key.der.subarray(1), /has 269 bytes/],
    [Buffer.alloc(0), /has 0 bytes/],
    [der((b) => b.writeUInt8(0x31, 0)), /PKCS#1/],
    [der((b) => b.writeUInt8(3, 269)), /exponent 65537/],
    [der((b) => b.writeUInt8(0x7f, 9)), /not of 2048 bits/],
    [der((b) => b.writeUInt8(0, 264)), /not of 2048 bits/],
  ] as const)
    t.throws(() => PublicKey.parse(bytes), { message: why })
})

t.test('serials are read in small letters too, and never longer or shorter', async (t) => {
  holds(
    t,
    fc.property(
      fc.oneof(
        edited(serial),
        serial.map((one) => one.toLowerCase()),
      ),
      (text) => {
        const found = parseSerial(text)
        assert.equal(found, /^[A-Za-z]{3}[0-9A-Fa-f]{8}$/.test(text) ? text.toUpperCase() : undefined)
      },
    ),
  )
})

import fc from 'fast-check'
import { test } from 'tap'
import {
  type AntitheftKey,
  checkDelegation,
  checkDeveloperKey,
  checkLease,
  checkOats,
  checkRtcReset,
  checkStick,
  readAntitheftKey,
} from '../../../sugaroid/index.js'
import { runs } from '../../support/rounds.js'
import { laptop, now, publicKey, serial, uuid, vector } from '../../support/sugaroid/antitheft-vectors.js'

const never = '00000000T000000Z'

const everyCheck = (bytes: Buffer, keys: readonly AntitheftKey[]) => {
  const signee = { serial, uuid, keys, now }
  return [
    checkLease(bytes, signee),
    checkStick(bytes, signee),
    checkDeveloperKey(bytes, signee),
    checkRtcReset(bytes, signee),
    checkDelegation(bytes, signee, publicKey('server')),
    checkOats(bytes, signee, '12345678'),
  ]
}

test('no bytes make a check throw, and none is valid by chance', async (t) => {
  const { keys } = laptop('lease', 'developer', 'oats')
  const [{ id, hex }] = keys as [AntitheftKey, ...AntitheftKey[]]
  const pieces = [
    ...[
      'act01: ',
      'dev01: ',
      'rtc01: ',
      'del01: ',
      'sig01: ',
      'sig02: ',
      'sha256 ',
      'K ',
      'A ',
      ' ',
      '\n',
      '\r',
    ],
    ...[
      `${serial} `,
      `${uuid} `,
      `${never} `,
      `${now} `,
      '0000000135 ',
      `${id} `,
      `${hex} `,
      '0'.repeat(512),
    ],
    ...[
      '["oatc-signed-resp",1,[',
      '["oatc-resp",1,',
      ',["sig",1,',
      ']',
      '{"nonce":"12345678","time":"',
      '[1,',
      '{',
    ],
    ...['"', '\\', '}', ',', ':', '7', 'null', '-', '\0', '\u00ff'],
  ]
  const composed = fc
    .array(fc.constantFrom(...pieces), { maxLength: 14 })
    .map((parts) => Buffer.from(parts.join(''), 'latin1'))
  const raw = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(fc.oneof(composed, raw), (bytes) =>
      everyCheck(bytes, keys).every(({ verdict, reason }) => verdict !== 'valid' && !reason.includes(uuid)),
    ),
    runs(5000),
  )
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 265, maxLength: 275 }), (bytes) => {
      return readAntitheftKey(Buffer.from(bytes)) === undefined
    }),
  )
  t.pass('5000 files')
})

test('a character that was changed is never taken', async (t) => {
  const { keys } = laptop('lease', 'developer', 'oats')
  const files = [
    'leases/v1.sig',
    'leases/v2.sig',
    'leases/chain2.sig',
    'devkeys/develop.sig',
    'rtc/rtcreset.sig',
    'delegations/d1.sig',
    'oats/resp.cjson',
  ]
  const originals = files.map((file) => vector(file).toString().trimEnd())
  for (const original of originals) {
    const takers = everyCheck(Buffer.from(original), keys).filter(({ verdict }) => verdict === 'valid')
    t.ok(takers.length > 0, 'unchanged it is taken')
  }
  const edit = fc.tuple(
    fc.constantFrom(...originals),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  )
  const character = fc.constantFrom(...'0123456789abcdefABCDEFKZTz: "\n\\')
  fc.assert(
    fc.property(edit, character, ([original, part], put) => {
      const at = Math.floor(part * original.length)
      fc.pre(original[at] !== put)
      const changed = original.slice(0, at) + put + original.slice(at + 1)
      return everyCheck(Buffer.from(changed), keys).every(({ verdict }) => verdict !== 'valid')
    }),
    runs(4000),
  )
})

test('a file of many megabytes is read in a moment, whatever is in it', async (t) => {
  const size = 4_000_000
  const other = vector('leases/v1.sig').toString().replace(serial, 'SHC00000000')
  const files = [
    other.repeat(size / other.length),
    `[1,{"${'a'.repeat(size)}`,
    `[1,{"A":"${'\\"'.repeat(size / 2)}`,
    `[1,${'['.repeat(size)}`,
    `[1,[${'"",'.repeat(size / 3)}`,
    `act01: ${serial} ${' '.repeat(size)}`,
    'act01: '.repeat(size / 7),
    'act01: a\n'.repeat(size / 9),
    'del01:  '.repeat(size / 8),
    '\r'.repeat(size),
    `["oatc-signed-resp",1,[["oatc-resp",1,${'-'.repeat(size)}`,
  ]
  for (const text of files) {
    const started = performance.now()
    for (const { verdict } of everyCheck(Buffer.from(text), laptop('lease').keys)) t.not(verdict, 'valid')
    const took = performance.now() - started
    t.ok(took < 6000, `six checks of ${text.slice(0, 20)} took ${Math.round(took)} ms`)
  }
})

import { execFile, execFileSync } from 'node:child_process'
import { createECDH, createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import ssh2 from 'ssh2'
import t from 'tap'
import { RequestError } from '../../../core/api.js'
import { parsePublicKey, uidOf } from '../../../plugins/id/key.js'
import { blobOf, sha1 } from '../../support/id/registering-laptops.js'
import { needs } from '../../support/needs.js'
import { makeKeyFile, opensshHasDsa } from '../../support/openssh.js'
import { runs } from '../../support/rounds.js'

t.setTimeout(300_000)

const folder = mkdtempSync(join(tmpdir(), 'sugar-keys-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const wanted: [type: string, bits: string | undefined, named: string][] = [
  ['dsa', undefined, 'ssh-dss'],
  ['rsa', '1024', 'ssh-rsa'],
  ['rsa', '2048', 'ssh-rsa'],
  ['rsa', '3072', 'ssh-rsa'],
  ['rsa', '4096', 'ssh-rsa'],
  ['ecdsa', '256', 'ecdsa-sha2-nistp256'],
  ['ecdsa', '384', 'ecdsa-sha2-nistp384'],
  ['ecdsa', '521', 'ecdsa-sha2-nistp521'],
  ['ed25519', undefined, 'ssh-ed25519'],
]

/** Makes a key with ssh-keygen, or as it did when it knew the type. @returns the line of its public half */
function keygen(type: string, bits: string | undefined, comment: string): string {
  const file = join(folder, `${type}${bits ?? ''}`)
  const size = bits === undefined ? [] : ['-b', bits]
  if (type !== 'dsa' || opensshHasDsa) {
    execFileSync('ssh-keygen', ['-q', '-t', type, ...size, '-C', comment, '-N', '', '-f', file])
    return readFileSync(`${file}.pub`, 'utf8')
  }
  makeKeyFile(type, file)
  return `${readFileSync(`${file}.pub`, 'utf8').trim()} ${comment}\n`
}

const blobIn = (line: string): string => line.split(' ')[1] ?? ''

// Keys that are there without ssh-keygen too, and the same in every run.
const ed25519 = blobOf('ssh-ed25519', createHash('sha256').update('a laptop').digest())
const number = (bits: number, fill = 0xa5): Buffer =>
  Buffer.concat([Buffer.from(bits % 8 === 0 ? [0] : []), Buffer.alloc(Math.ceil(bits / 8), fill)])
const threeBytes = Buffer.from([1, 0, 1])
const rsa = blobOf('ssh-rsa', threeBytes, number(1024))
const dsa = blobOf('ssh-dss', number(1024), number(160), number(1024), number(1024))

const curves = [
  ['nistp256', 'prime256v1', 32],
  ['nistp384', 'secp384r1', 48],
  ['nistp521', 'secp521r1', 66],
] as const

function point(openssl: string, form: 'compressed' | 'uncompressed' | 'hybrid' = 'uncompressed'): Buffer {
  const pair = createECDH(openssl)
  pair.setPrivateKey(Buffer.from('42', 'hex'))
  return pair.getPublicKey(null, form)
}

const ecdsa = (curve: string, openssl: string): string => blobOf(`ecdsa-sha2-${curve}`, curve, point(openssl))

const made = [ed25519, rsa, dsa, ...curves.map(([curve, openssl]) => ecdsa(curve, openssl))]

const refusalOf = (text: string): string | undefined => {
  try {
    parsePublicKey(text)
    return undefined
  } catch (error) {
    if (error instanceof RequestError && error.code === 'REQUEST_INVALID') return error.message
    throw error
  }
}

t.test('every key that ssh-keygen makes is taken, however a laptop sends it', async (t) => {
  if (!needs(t, 'ssh-keygen', 'openssh-client')) return
  for (const [type, bits, named] of wanted) {
    const name = `${type} ${bits ?? ''}`.trim()
    const line = keygen(type, bits, 'Ana  on her "XO" 🦉')
    const blob = blobIn(line)
    const ways = {
      'the blob alone': blob,
      'the blob with a space behind, as Sugar cuts it': `${blob} `,
      'the blob with a comment': `${blob} ana@xo more words`,
      'the line of owner.key.pub': line,
      'type and blob': `${named} ${blob}`,
      'with tabs and spaces between': `  ${named} \t ${blob}\tana`,
      'with the line end of Windows': `${named} ${blob} ana\r\n`,
    }
    for (const [way, text] of Object.entries(ways))
      t.strictSame(parsePublicKey(text), { type: named, blob, uid: sha1(blob) }, `${name}: ${way}`)
  }
})

t.test("a laptop's uid is the same as in every Sugar: sha1 of the base64 text", async (t) => {
  const blob = 'AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f'
  // printf %s "$blob" | sha1sum
  const uid = execFileSync('sha1sum', { input: blob }).toString().slice(0, 40)
  t.equal(uid, '26887cc73ddd29e1bd8a2ebc4ebc54bef0c03b70')
  t.equal(uidOf(blob), uid)
  t.strictSame(parsePublicKey(`ssh-ed25519 ${blob} comment`), { type: 'ssh-ed25519', blob, uid })
})

t.test('a key that says less or more than one key is refused, and the reason is named', async (t) => {
  const stump = (blob: string, bytes: number) =>
    Buffer.from(blob, 'base64').subarray(0, bytes).toString('base64')
  const longer = (blob: string, more: string) =>
    Buffer.concat([Buffer.from(blob, 'base64'), Buffer.from(more)]).toString('base64')
  const urlSafe = blobOf('ssh-ed25519', Buffer.alloc(32, 0xfb)).replaceAll('+', '-').replaceAll('/', '_')
  t.match(urlSafe, /[-_]/)
  const unpadded = rsa.replace(/=+$/, '')
  t.not(unpadded, rsa)
  const refused: [what: string, text: string, reason: RegExp][] = [
    ['nothing', '', /empty/],
    ['blanks', ' \t ', /empty/],
    ['a type and nothing', 'ssh-rsa', /empty/],
    ['a type and blanks', 'ssh-rsa   ', /empty/],
    ['two keys, a line each', `${ed25519}\nssh-rsa ${rsa}`, /one line/],
    ['a second line behind the comment', `ssh-ed25519 ${ed25519} ana\nssh-rsa ${rsa}`, /one line/],
    ['a line end of the Macintosh', `${ed25519}\r${rsa}`, /one line/],
    ['a NUL in the comment', `${ed25519} a\0b`, /one line/],
    ['an option in front', `command="/bin/sh" ssh-ed25519 ${ed25519}`, /not base64/],
    ['an option of base64 letters in front', `restrict ssh-ed25519 ${ed25519}`, /cut off/],
    ['options without a type', `no-pty,command="x" ${ed25519}`, /not base64/],
    ['@cert-authority', `@cert-authority ssh-ed25519 ${ed25519}`, /not base64/],
    ['a type it is not', `ssh-rsa ${ed25519}`, /says ssh-rsa but is ssh-ed25519/],
    ['DSA that says RSA', `ssh-rsa ${dsa}`, /says ssh-rsa but is ssh-dss/],
    ['a type nobody knows', `ssh-owl ${ed25519}`, /not base64/],
    ['a certificate', blobOf('ssh-ed25519-cert-v01@openssh.com', Buffer.alloc(32, 1), 'key'), /type is none/],
    ['a certificate that says so', `ssh-rsa-cert-v01@openssh.com ${rsa}`, /not base64/],
    ['a security key', blobOf('sk-ssh-ed25519@openssh.com', Buffer.alloc(32, 1), 'ssh:'), /type is none/],
    ['RSA with 512 bits', blobOf('ssh-rsa', threeBytes, number(512)), /modulus has 512 bits/],
    ['RSA with 1,023 bits', blobOf('ssh-rsa', threeBytes, number(1023, 0x5a)), /modulus has 1023 bits/],
    ['RSA with 16,384 bits', blobOf('ssh-rsa', threeBytes, number(16_384)), /modulus has 16384 bits/],
    ['RSA with the exponent 1', blobOf('ssh-rsa', Buffer.from([1]), number(1024)), /exponent has 1 bits/],
    ['RSA with no exponent', blobOf('ssh-rsa', '', number(1024)), /exponent has 0 bits/],
    ['RSA with a negative modulus', blobOf('ssh-rsa', threeBytes, Buffer.alloc(128, 0xa5)), /negative/],
    [
      'RSA with a padded exponent',
      blobOf('ssh-rsa', Buffer.from([0, 1, 0, 1]), number(1024)),
      /shortest form/,
    ],
    [
      'RSA with a padded modulus',
      blobOf('ssh-rsa', threeBytes, Buffer.concat([Buffer.alloc(2), number(1024)])),
      /shortest form/,
    ],
    [
      'DSA with 512 bits',
      blobOf('ssh-dss', number(512), number(160), number(512), number(512)),
      /modulus has 512/,
    ],
    [
      'DSA with a short subgroup',
      blobOf('ssh-dss', number(1024), number(80), number(1024), number(1024)),
      /subgroup/,
    ],
    ['DSA without y', blobOf('ssh-dss', number(1024), number(160), number(1024), ''), /empty/],
    [
      'DSA with y of 0',
      blobOf('ssh-dss', number(1024), number(160), number(1024), Buffer.from([0])),
      /empty/,
    ],
    ['Ed25519 of 31 bytes', blobOf('ssh-ed25519', Buffer.alloc(31)), /32 bytes/],
    ['Ed25519 of 33 bytes', blobOf('ssh-ed25519', Buffer.alloc(33)), /32 bytes/],
    ['half a key', stump(rsa, 100), /cut off/],
    ['a key without its last byte', stump(ed25519, 50), /cut off/],
    ['a field whose length is cut off', stump(ed25519, 17), /cut off/],
    ['a length of four billion', Buffer.from('ffffffff', 'hex').toString('base64'), /cut off/],
    ['something behind it', longer(ed25519, 'x'), /follows/],
    ['another key behind it', longer(ed25519, 'x'.repeat(51)), /follows/],
    ['base64 for addresses', urlSafe, /not base64/],
    ['base64 without its padding', unpadded, /not base64/],
    ['base64 with too much padding', `${ed25519}=`, /not base64/],
    ['base64 with bits left over', rsa.replace(/.(=+)$/, 'B$1'), /not base64/],
    ['letters that are not ASCII', 'AAAАC3NzaC1lZDI1NTE5', /not base64/],
    ['wide digits', ed25519.replace('1', '１'), /not base64/],
    ['an owl', '🦉', /not base64/],
    ['half a character', `${ed25519}\ud83e`, /not base64/],
    ['64 KB', 'A'.repeat(64 << 10), /too long/],
    ['64 KB of comment', `${ed25519} ${'a'.repeat(64 << 10)}`, /too long/],
    ['a million blanks', ' '.repeat(1_000_000), /too long/],
  ]
  for (const [what, text, reason] of refused) t.match(refusalOf(text), reason, what)
})

t.test('a point of an elliptic curve must be one, written in full', async (t) => {
  for (const [curve, openssl, bytes] of curves) {
    const type = `ecdsa-sha2-${curve}`
    t.equal(parsePublicKey(ecdsa(curve, openssl)).type, type)
    const off = point(openssl)
    off[off.length - 1] = (off[off.length - 1] ?? 0) ^ 1
    const points = {
      'off the curve': off,
      'at infinity': Buffer.from([0]),
      'of no bytes': Buffer.alloc(0),
      'of zeros': Buffer.concat([Buffer.from([4]), Buffer.alloc(bytes * 2)]),
      compressed: point(openssl, 'compressed'),
      hybrid: point(openssl, 'hybrid'),
      'with a byte behind': Buffer.concat([point(openssl), Buffer.from([0])]),
      'of another curve': point(curve === 'nistp256' ? 'secp384r1' : 'prime256v1'),
    }
    for (const [what, bad] of Object.entries(points))
      t.match(refusalOf(blobOf(type, curve, bad)), /point/, `${curve}: ${what}`)
    const other = curve === 'nistp256' ? 'nistp384' : 'nistp256'
    t.match(
      refusalOf(blobOf(type, other, point(openssl))),
      /curve does not fit/,
      `${curve} that names ${other}`,
    )
  }
})

/** What goes wrong with bytes on their way. */
const damaged = (blob: string): fc.Arbitrary<string> => {
  const bytes = Buffer.from(blob, 'base64')
  const at = fc.nat({ max: bytes.length })
  const edit = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), at, value: fc.nat({ max: 255 }) }),
    fc.record({ kind: fc.constant('cut' as const), at, value: fc.nat({ max: 40 }) }),
    fc.record({ kind: fc.constant('put' as const), at, value: fc.nat({ max: 255 }) }),
  )
  return fc.array(edit, { minLength: 1, maxLength: 3 }).map((edits) => {
    let changed = bytes
    for (const { kind, at, value } of edits) {
      const [head, tail] = [changed.subarray(0, at), changed.subarray(at)]
      if (kind === 'set') changed = Buffer.concat([head, Buffer.from([value]), tail.subarray(1)])
      else if (kind === 'cut') changed = Buffer.concat([head, tail.subarray(value)])
      else changed = Buffer.concat([head, Buffer.from([value]), tail])
    }
    return changed.toString('base64')
  })
}

/** Keys of which single fields are swapped for others. */
const rebuilt: fc.Arbitrary<string> = fc
  .record({
    type: fc.constantFrom(
      'ssh-dss',
      'ssh-rsa',
      'ssh-ed25519',
      ...curves.map(([curve]) => `ecdsa-sha2-${curve}`),
    ),
    fields: fc.array(
      fc.oneof(
        fc.constantFrom(
          ...curves.flatMap(([curve, openssl]) => [
            Buffer.from(curve),
            point(openssl),
            point(openssl, 'hybrid'),
          ]),
          number(1024),
          number(160),
          threeBytes,
          Buffer.alloc(32, 7),
        ),
        fc.uint8Array({ maxLength: 140 }).map((bytes) => Buffer.from(bytes)),
      ),
      { maxLength: 5 },
    ),
  })
  .map(({ type, fields }) => blobOf(type, ...fields))

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: 'grapheme-composite', maxLength: 50 }),
  fc.base64String({ maxLength: 400 }),
  fc.string({
    unit: fc.constantFrom('A', '=', ' ', '\n', '\t', 'ssh-rsa', '\ud800', '\u00a0', '"'),
    maxLength: 40,
  }),
  fc.constantFrom(...made).chain(damaged),
  rebuilt,
)

const anySending = fc
  .tuple(
    fc.constantFrom('', 'ssh-rsa ', 'ssh-dss ', 'ssh-ed25519 ', ' ', '\t'),
    anyText,
    fc.constantFrom('', ' x', '\n', ' a b'),
  )
  .map((parts) => parts.join(''))

t.test('whatever is sent, it is refused with a reason or kept as one line that OpenSSH reads', async (t) => {
  const taken = new Map<string, string>()
  fc.assert(
    fc.property(anySending, (text) => {
      if (refusalOf(text) !== undefined) return
      const { type, blob, uid } = parsePublicKey(text)
      const line = `${type} ${blob}`
      if (!/^[a-z0-9-]+ [A-Za-z0-9+/]+={0,2}$/.test(line)) throw new Error(`not one clean line: ${line}`)
      if (uid !== sha1(blob)) throw new Error(`another uid than its text: ${uid}`)
      if (parsePublicKey(line).uid !== uid) throw new Error(`not the same again: ${line}`)
      taken.set(blob, line)
    }),
    runs(20_000),
  )
  for (const blob of made) taken.set(blob, `${parsePublicKey(blob).type} ${blob}`)
  t.ok(taken.size > runs(20_000).numRuns / 500, `${taken.size} different keys were taken`)
  if (!needs(t, 'ssh-keygen', 'openssh-client')) return
  const file = join(folder, 'taken')
  const isForCode = (line: string) => !opensshHasDsa && line.startsWith('ssh-dss ')
  const [lines, others] = [false, true].map((code) =>
    [...taken.values()].filter((line) => isForCode(line) === code),
  ) as [string[], string[]]
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''))
  const { stdout, stderr } = await promisify(execFile)('ssh-keygen', ['-l', '-f', file])
  t.equal(stderr, '')
  t.equal(stdout.trim().split('\n').length, lines.length, 'ssh-keygen knows every one of them')
  t.same(
    others.filter((line) => ssh2.utils.parseKey(line) instanceof Error),
    [],
    'and those that its OpenSSH has no type for, ssh2 does',
  )
})

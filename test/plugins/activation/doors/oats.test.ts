import { constants, verify } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { readQuestion } from '../../../../plugins/activation/doors/oats.js'
import { checkLease, parseCanonical } from '../../../../plugins/keyring/public.js'
import {
  ask,
  DeskKeyring,
  inDays,
  laptop,
  master,
  school,
} from '../../../support/activation/activation-school.js'
import { run } from '../../../support/activation/import-files.js'

t.setTimeout(300_000)

const one = laptop(1)
const stolen = laptop(2)
const changes = [
  { serial: one.serial, laptop: { uuid: one.uuid } },
  {
    serial: stolen.serial,
    laptop: { uuid: stolen.uuid },
    theft: { serial: stolen.serial, reason: 'gone', at: '2026-11-16T08:00:00.000Z' },
  },
]

interface Said {
  readonly status: number
  readonly text: string
  readonly length: string | null
  readonly retryAfter: string | null
}

async function post(url: string, body: string, headers: Record<string, string> = {}): Promise<Said> {
  const answer = await fetch(`${url}/antitheft/1/`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
    body,
  })
  return {
    status: answer.status,
    text: await answer.text(),
    length: answer.headers.get('content-length'),
    retryAfter: answer.headers.get('retry-after'),
  }
}

const form = (serial: string, nonce: string, more = ''): string =>
  `serialnum=${serial}&version=1&nonce=${encodeURIComponent(nonce)}${more}`

/** What a laptop believes: the content, when the signature is over the very text that stands in the answer. */
function believed(text: string): Record<string, unknown> {
  const signed =
    /^\["oatc-signed-resp",1,\[(\["oatc-resp",1,\{.*?\}\]),\["sig",1,\["sig01: sha256 [0-9a-f]{64} ([0-9a-f]{512})\n"\]\]\]\]$/s.exec(
      text,
    )
  if (signed?.[1] === undefined || signed[2] === undefined)
    throw new Error(`no answer of OATS: ${text.slice(0, 200)}`)
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 8 }
  const key = { key: master.public.object, ...padding }
  if (!verify('sha256', Buffer.from(signed[1], 'latin1'), key, Buffer.from(signed[2], 'hex')))
    throw new Error('the signature is not one of that text')
  const whole = parseCanonical(text) as [string, number, [[string, number, Record<string, unknown>]]]
  return { ...whole[2][0][2] }
}

t.test('a laptop gets a signed answer with its own number, and a lease when it needs one', async (t) => {
  const keyring = new DeskKeyring()
  const { url, port } = await school(t, {
    changes,
    keyring,
    settings: { 'oats-hints': 'os=build 42,note=a "b" \\c' },
  })
  const first = await post(url, form(one.serial, 'abc"\\ 1', '&extra=1'), { 'X-Hashcash': 'whatever' })
  t.equal(first.status, 200)
  t.equal(Number(first.length), Buffer.byteLength(first.text))
  const said = believed(first.text)
  t.match(said, {
    nonce: 'abc"\\ 1',
    time: /^\d{8}T\d{6}Z$/,
    os: 'build 42',
    note: 'a "b" \\c',
    lease: /^act01: .*\n$/,
  })
  t.notOk('stolen' in said)
  const question = { ...one, at: inDays(0), trusted: [master.public] }
  t.equal(checkLease(String(said.lease), question).verdict, 'valid')

  const other = laptop(3)
  const second = await school(t, {
    changes: [{ serial: other.serial, laptop: { uuid: other.uuid } }],
    keyring,
  })
  await ask(second.port, other.serial)
  t.notOk('lease' in believed((await post(second.url, form(other.serial, '1'))).text), 'it has just got one')
  const now = Date.now()
  keyring.time = () => new Date(now + 15 * 86_400_000)
  await ask(port, 'unrelated')
  const later = await school(t, {
    changes: [{ serial: other.serial, laptop: { uuid: other.uuid } }],
    keyring,
  })
  t.ok(
    'lease' in believed((await post(later.url, form(other.serial, '2'))).text),
    'of one not known it may be over',
  )
})

t.test('when less than half of its lease is left, a laptop gets the next', async (t) => {
  const keyring = new DeskKeyring()
  const { url, port } = await school(t, { changes, keyring })
  await ask(port, one.serial)
  const now = Date.now()
  keyring.time = () => new Date(now + 8 * 86_400_000)
  t.notOk('lease' in believed((await post(url, form(one.serial, '1'))).text), 'a week later')
  for (let count = 2; count <= 8; count += 1)
    t.equal((await post(url, form(one.serial, '2'))).status, 200, 'nor does a stranger use up its turn')
  const waited = await post(url, form(one.serial, '2'))
  t.equal(waited.retryAfter, '10')
  t.equal(waited.status, 429, 'not nine times in ten seconds: each answer costs a signature')
})

t.test('a stolen laptop is told so, signed, and gets no lease', async (t) => {
  const { url } = await school(t, { changes, keyring: new DeskKeyring() })
  const said = believed((await post(url, form(stolen.serial, '1'))).text)
  t.equal(said.stolen, true)
  t.notOk('lease' in said)
})

t.test('a laptop that is said to be stolen while its answer is being signed gets no lease', async (t) => {
  const keyring = new DeskKeyring()
  const { url, house } = await school(t, { changes, keyring })
  let count = 0
  keyring.before = async () => {
    count += 1
    if (count === 2) await run(house, 'stolen', { what: 'add', serial: one.serial })
  }
  t.equal((await post(url, form(one.serial, '1'))).status, 503)
  t.equal(believed((await post(url, form(one.serial, '2'))).text).stolen, true)
})

t.test('a class of a thousand is answered at once, whatever serials somebody makes up', async (t) => {
  const keyring = new DeskKeyring()
  const many = Array.from({ length: 1000 }, (_, n) => laptop(n))
  const { url } = await school(t, { keyring, changes: many.map(({ serial }) => ({ serial, laptop: {} })) })
  const ask = (numbers: number[]) =>
    Promise.all(
      numbers.map(
        async (n) => (await post(url, form(laptop(n).serial, '1'), { Connection: 'close' })).status,
      ),
    )
  const flood = await ask(Array.from({ length: 600 }, (_, n) => 100_000 + n))
  t.ok(flood.filter((status) => status === 200).length < 400, 'those that nobody knows wait')
  t.ok(flood.includes(429))
  t.ok((await ask(many.map((_, n) => n))).every((status) => status === 200))
})

t.test('nothing is ever answered unsigned', async (t) => {
  const body = form(one.serial, '1')
  const without = await school(t, { changes })
  t.match(await post(without.url, body), { status: 404, text: /there is no keyring/ })
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  keyring.delegate(one.serial, one.uuid, inDays(30), 'lease')
  const { url } = await school(t, { changes, keyring })
  t.match(await post(url, body), { status: 404, text: /neither a key nor a delegation of OATS/ })
  keyring.delegate(one.serial, one.uuid, inDays(30), 'oats')
  keyring.why = 'the clock says 1970'
  t.match(await post(url, body), { status: 503, text: /the clock says 1970/ })
})

t.test('what is no question is refused with words', async (t) => {
  const { url } = await school(t, { changes, keyring: new DeskKeyring() })
  const wrong: [string, RegExp][] = [
    ['', /serialnum/],
    ['serialnum=SHC&version=1&nonce=1', /serialnum/],
    [`serialnum=${one.serial}&version=2&nonce=1`, /version/],
    [`serialnum=${one.serial}&version=1`, /nonce/],
    [`serialnum=${one.serial}&version=1&nonce=`, /nonce/],
    [`serialnum=${one.serial}&version=1&nonce=${'n'.repeat(65)}`, /nonce/],
    [`serialnum=${one.serial}&version=1&nonce=%0a`, /nonce/],
    [`serialnum=${one.serial}&version=1&nonce=%c3%a9`, /nonce/],
    [`serialnum=${one.serial}&version=1&nonce=1&nonce=2`, /nonce/],
    [`serialnum=${one.serial}&version=1&nonce=é`, /ASCII/],
  ]
  for (const [body, says] of wrong) t.match(await post(url, body), { status: 400, text: says }, body)
  t.equal((await post(url, 'x'.repeat(5000))).status, 413)
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      try {
        readQuestion(text)
        return false
      } catch (error) {
        return (error as { code?: string }).code === 'REQUEST_INVALID'
      }
    }),
  )
})

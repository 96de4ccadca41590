import { join } from 'node:path'
import { type DestinationStream, pino } from 'pino'
import t, { type Test } from 'tap'
import { Audit } from '../../../plugins/keyring/audit/audit.js'
import { ClockGuard } from '../../../plugins/keyring/clock/guard.js'
import { type StoredKey, Vault } from '../../../plugins/keyring/keys/vault.js'
import { NativeSigner } from '../../../plugins/keyring/sign/native.js'
import { Notary, type Order } from '../../../plugins/keyring/sign/notary.js'
import type { Signer } from '../../../plugins/keyring/sign/signer.js'
import { isSignedBy } from '../../../plugins/keyring/wire/signature.js'
import { fill, made, smallDisk } from '../../support/keyring/key-files.js'
import { madeUp, noon, xo } from '../../support/keyring/open-keyring.js'
import { watchTurns } from '../../support/longest-turn.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

interface Office {
  readonly notary: Notary
  readonly audit: Audit
  readonly key: StoredKey
  readonly log: string[]
  /** What the signer was asked, and how many times at once at most. */
  readonly asked: { times: number; most: number }
  order(more?: Partial<Order>): Order
}

interface Given {
  folder?: string
  now?: () => Date
  /** In place of what the signer answers. */
  answer?: (signature: string) => string | Promise<string>
}

async function office(
  t: Test,
  { folder = temporaryDirectorySync(t), now = () => noon, answer }: Given = {},
): Promise<Office> {
  const vault = await Vault.open(join(temporaryDirectorySync(t), 'keys'))
  const { key } = await vault.addPair('lease', made('lease.private'))
  const audit = await Audit.open(join(folder, 'audit'), { now })
  t.teardown(() => audit.close())
  const guard = await ClockGuard.open({
    ...{
      file: join(temporaryDirectorySync(t), 'clock.json'),
      built: new Date('2026-06-01T00:00:00Z'),
      synchronised: false,
    },
    ...{ newest: () => audit.newest(), now },
  })
  const native = new NativeSigner(vault)
  const asked = { times: 0, most: 0 }
  let working = 0
  const signer: Signer = {
    ...{ name: 'under test', places: native.places, obstacle: undefined },
    async sign(hash, payload, itsKey) {
      asked.times += 1
      working += 1
      asked.most = Math.max(asked.most, working)
      try {
        const signature = await native.sign(hash, payload, itsKey)
        return (await answer?.(signature)) ?? signature
      } finally {
        working -= 1
      }
    },
  }
  const log: string[] = []
  const destination: DestinationStream = { write: (line) => void log.push(line) }
  const notary = new Notary({ signer, audit, guard, log: pino({}, destination) })
  const order = (more: Partial<Order> = {}): Order => ({
    ...{ what: 'act01', by: 'test', key, hash: 'sha256', serial: xo.serial, expiry: '20270201T000000Z' },
    payload: Buffer.from(`${xo.serial}:${xo.uuid}:K:20270201T000000Z`),
    ...more,
  })
  return { notary, audit, key, log, asked, order }
}

const lines = async ({ audit }: Pick<Office, 'audit'>) => audit.last(10_000)

t.test(
  'a signature leaves once the audit log has it, and the log holds neither uuid nor signature',
  async (t) => {
    const it = await office(t)
    const signature = await it.notary.signature(it.order())
    const { publicKey } = it.key
    t.ok(isSignedBy(publicKey, { hash: 'sha256', key: publicKey.id, signature }, it.order().payload))
    const [line, ...more] = await lines(it)
    t.match(line, {
      by: 'test',
      what: 'act01',
      serial: xo.serial,
      key: publicKey.id,
      expiry: '20270201T000000Z',
    })
    t.strictSame(more, [])
    t.notMatch(JSON.stringify(line), xo.uuid)
    t.notMatch(JSON.stringify(line), signature)
  },
)

t.test('while the clock cannot be right nothing is signed, not even for a trial', async (t) => {
  for (const now of ['1970-01-01T00:00:10Z', '2036-12-31T12:00:00Z']) {
    const it = await office(t, { now: () => new Date(now) })
    t.match(await it.notary.obstacle(), /the clock says/)
    await t.rejects(it.notary.signature(it.order()), {
      code: 'UNAVAILABLE',
      message: /nothing is signed now: the clock/,
    })
    t.equal(it.asked.times, 0)
    t.strictSame(await lines(it), [])
  }
})

t.test('a clock that jumps while a signature is made lets nothing leave, and leaves no trace', async (t) => {
  let now = noon
  const answer = (signature: string) => {
    now = new Date('2036-12-31T12:00:00Z')
    return signature
  }
  const it = await office(t, { now: () => now, answer })
  await t.rejects(it.notary.signature(it.order()), { code: 'UNAVAILABLE', message: /the clock says 2036/ })
  t.strictSame(await lines(it), [])
  now = noon
  t.equal(await it.notary.obstacle(), undefined, 'put right, it is believed again')
})

t.test('a signature that does not fit its key never leaves, and is said until one fits', async (t) => {
  let isWrong = true
  const flip = (hex: string) => (hex.startsWith('0') ? `1${hex.slice(1)}` : `0${hex.slice(1)}`)
  const it = await office(t, { answer: (signature) => (isWrong ? flip(signature) : signature) })
  await t.rejects(it.notary.signature(it.order()), {
    code: 'UNAVAILABLE',
    message: 'nothing could be signed for act01',
  })
  t.match(it.notary.trouble, /made a signature that does not fit its key/)
  t.match(it.log.join(''), /does not fit its key/)
  t.notMatch(it.log.join(''), xo.uuid, 'the log knows no uuid')
  t.strictSame(await lines(it), [], 'nothing was signed, says the audit log')
  isWrong = false
  await it.notary.signature(it.order())
  t.equal(it.notary.trouble, undefined)
})

t.test('a signer that answers with anything but hex digits is not believed either', async (t) => {
  const answers: ((signature: string) => string)[] = [
    () => '',
    () => 'x'.repeat(512),
    (signature) => `${signature}\nact01: and more`,
    (signature) => signature.toUpperCase(),
  ]
  for (const answer of answers) {
    const it = await office(t, { answer })
    await t.rejects(it.notary.signature(it.order()), { code: 'UNAVAILABLE' })
  }
})

t.test('a signer that fails is an error for one, and the next is served', async (t) => {
  let times = 0
  const it = await office(t, {
    answer: (signature) => {
      times += 1
      if (times === 1) throw new Error('out of luck')
      return signature
    },
  })
  await t.rejects(it.notary.signature(it.order()), { code: 'UNAVAILABLE' })
  t.match(it.notary.trouble, /out of luck/)
  t.match(await it.notary.signature(it.order()), /^[0-9a-f]{512}$/)
})

t.test('on a full disk nothing that was signed gets out, and with room it goes on', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const it = await office(t, { folder: disk })
  await it.notary.signature(it.order())
  const empty = fill(disk)
  const results = await Promise.allSettled(
    madeUp(100).map(({ serial }) => it.notary.signature(it.order({ serial, payload: Buffer.from(serial) }))),
  )
  const out = results.filter(({ status }) => status === 'fulfilled').length
  const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
  t.ok(refused.length > 0, 'some found no room')
  for (const reason of refused)
    t.match(reason, { code: 'UNAVAILABLE', message: 'what was signed cannot be noted in the audit log' })
  t.match(it.log.join(''), /ENOSPC/)
  empty()
  await it.notary.signature(it.order())
  t.equal((await lines(it)).length, 2 + out, 'what got out is in the log')
  t.equal((await it.audit.check()).broken, undefined)
})

t.test(
  'a thousand who ask at once are all served, a few at a time, while others get their turn',
  async (t) => {
    const it = await office(t)
    const longest = watchTurns(t)
    const signatures = await Promise.all(
      madeUp(1000).map(({ serial }) =>
        it.notary.signature(it.order({ serial, payload: Buffer.from(serial) })),
      ),
    )
    const most = longest()
    t.equal(new Set(signatures).size, 1000)
    t.ok(it.asked.most <= 8, `${it.asked.most} at a time`)
    t.ok(most < 500, `the event loop waited ${most} ms at most`)
    t.equal((await lines(it)).length, 1000)
  },
)

t.test(
  'beyond a few thousand who wait the next is told to come again, and those who wait are served',
  async (t) => {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const it = await office(t, { answer: (signature) => gate.then(() => signature) })
    const all = madeUp(5000).map(({ serial }) =>
      it.notary.signature(it.order({ serial, payload: Buffer.from(serial) })),
    )
    const settled = Promise.allSettled(all)
    const first = await Promise.race(all.map((one) => one.catch((error: { code: string }) => error)))
    t.match(first, {
      code: 'UNAVAILABLE',
      message: '4096 signatures are waited for already',
      hint: /try again/,
    })
    open()
    const served = (await settled).filter(({ status }) => status === 'fulfilled').length
    t.ok(served >= 4096 && served < 5000, `${served} were served`)
    t.equal((await lines(it)).length, served)
  },
)

t.test('who asks twice at once gets the same, and later something new', async (t) => {
  const it = await office(t)
  const [one, same, another] = await Promise.all([
    it.notary.signature(it.order()),
    it.notary.signature(it.order()),
    it.notary.signature(it.order({ by: 'somebody else' })),
  ])
  t.equal(one, same)
  t.not(one, another, 'the audit log names both who asked')
  t.equal((await lines(it)).length, 2)
  t.not(await it.notary.signature(it.order()), one)
})

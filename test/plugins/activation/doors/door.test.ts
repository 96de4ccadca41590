import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Door, type Times } from '../../../../plugins/activation/doors/door.js'
import { type Request, readRequest } from '../../../../plugins/activation/doors/request.js'
import { checkLease, parseSerial } from '../../../../plugins/keyring/public.js'
import {
  ask,
  DeskKeyring,
  heard,
  inDays,
  laptop,
  log,
  master,
  ready,
  school,
} from '../../../support/activation/activation-school.js'
import { until } from '../../../support/core/server-process.js'
import { lacks, needs } from '../../../support/needs.js'
import { runs } from '../../../support/rounds.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

const one = laptop(1)
const end = inDays(30)
const stolen = laptop(2)
const theft = { serial: stolen.serial, reason: 'gone since Monday', at: new Date().toISOString() }
const changes = [
  { ...ready(one.serial, one.uuid, end), laptop: { uuid: one.uuid } },
  { ...ready(stolen.serial, stolen.uuid, end), laptop: { uuid: stolen.uuid }, theft },
]

const isGood = (text: string, { serial, uuid }: { serial: string; uuid: string }): boolean =>
  /^[^\n]+\n$/.test(text) &&
  checkLease(text, { serial, uuid, at: inDays(0), trusted: [master.public] }).verdict === 'valid'

/** A door of its own with hurried times, that answers what it was asked. */
async function doorOf(
  t: Pick<Test, 'teardown'>,
  {
    answer = ({ serial }: Request): string | Promise<string> => `${serial}\n`,
    times = {},
    most = 2000,
  }: {
    answer?: (request: Request) => string | Promise<string>
    times?: Partial<Times>
    most?: number
  } = {},
): Promise<{ door: Door; port: number; warnings: string[] }> {
  const warnings: string[] = []
  const ear = Object.assign(Object.create(log), {
    warn: (_facts: object, text: string) => warnings.push(text),
  }) as typeof log
  const all = { request: 5000, connection: 15000, pause: 50, farewell: 100, ...times }
  const door = new Door(answer, ear, { times: all, most })
  const port = await new Promise<number>((resolve) => {
    door.server.listen(0, '127.0.0.1', () => resolve((door.server.address() as { port: number }).port))
  })
  const sweeping = setInterval(() => door.sweep(), 20)
  t.teardown(() => {
    clearInterval(sweeping)
    door.close()
    door.server.close()
  })
  return { door, port, warnings }
}

const silent = (t: Pick<Test, 'teardown'>, port: number): Socket => {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  return socket
}

t.test('what a laptop sends has a whole answer, whether or not it ever closes its half', async (t) => {
  const { port } = await school(t, { changes })
  t.ok(isGood((await ask(port, one.serial)).text, one), 'a laptop of the field closes its half')
  const open = await ask(port, one.serial, { close: false })
  t.ok(isGood(open.text, one), 'one that never does')
  t.ok(open.after < 4500, 'does not wait for a time limit')
  t.ok(isGood((await ask(port, [...one.serial])).text, one), 'byte by byte')
  t.ok(isGood((await ask(port, [...one.serial], { close: false })).text, one))
  t.ok(isGood((await ask(port, one.serial.toLowerCase())).text, one), 'in small letters')
  for (const lineEnd of ['\n', '\r\n', '\r'])
    t.ok(
      isGood((await ask(port, `${one.serial}${lineEnd}`)).text, one),
      'a line end behind it is passed over',
    )
  t.equal((await ask(port, stolen.serial)).text, 'STOLEN', 'six bytes, and no line end')
  t.same((await ask(port, laptop(3).serial)).text, '', 'nothing for one that nobody knows')
})

t.test('nonsense is closed without an answer', async (t) => {
  const { port } = await school(t, { changes })
  const nonsense = ['', 'SHC', one.serial.slice(0, 10), '\n', 'GET / HTTP/1.0\r\n\r\n', `${one.serial}X`]
  nonsense.push(
    `X${one.serial}`,
    ` ${one.serial}`,
    '\0'.repeat(11),
    'rtcreset',
    'rtcreset X Y Z\n',
    'x'.repeat(300),
  )
  nonsense.push(`${one.serial}\n${one.serial}`, 'x'.repeat(10_000_000))
  for (const text of nonsense) t.equal((await ask(port, text)).text, '', JSON.stringify(text.slice(0, 20)))
  for (const text of ['GET / HTTP/1.0\r\n', 'rtcreset A\n', 'x'.repeat(300)]) {
    const { text: answer, after } = await ask(port, text, { close: false })
    t.equal(answer, '')
    t.ok(after < 4500, 'and without waiting for a time limit')
  }
})

t.test('nc of the machine gets the lease', async (t) => {
  if (!needs(t, 'nc', 'netcat-openbsd')) return
  const { port } = await school(t, { changes })
  const nc = spawn('sh', ['-c', `printf ${one.serial} | nc -N 127.0.0.1 ${port}`], { timeout: 10_000 })
  let out = ''
  nc.stdout.setEncoding('latin1').on('data', (text: string) => {
    out += text
  })
  t.equal(await new Promise((resolve) => nc.once('close', resolve)), 0)
  t.ok(isGood(out, one))
})

t.test('a laptop that comes by IPv6 is served as one that comes by IPv4', async (t) => {
  const hasIt = Object.values(networkInterfaces()).some((all) =>
    all?.some(({ address }) => address === '::1'),
  )
  if (!hasIt) return lacks(t, 'needs IPv6', 'this machine has no IPv6')
  const { port } = await school(t, { changes, settings: { host: '0.0.0.0' } })
  for (const host of ['::1', '127.0.0.1'])
    t.ok(isGood((await ask(port, one.serial, { host })).text, one), host)
})

t.test(
  'with the real keyring, a list with uuids is all that is needed for a lease that laptops take',
  async (t) => {
    const root = await temporaryDirectory(t)
    const list = { serial: one.serial, laptop: { uuid: one.uuid } }
    const { house, port } = await school(t, {
      changes: [list, ...changes.slice(1)],
      plugins: ['keyring'],
      root,
    })
    t.equal((await ask(port, one.serial)).text, '', 'no key yet')
    const keys = join(process.cwd(), 'test', 'vectors', 'bios-crypto', 'keys')
    const files = ['lease.private', 'lease.public'].map((path) => ({
      path,
      bytes: readFileSync(join(keys, path)),
    }))
    const { ended } = await house.command(['keyring', 'import'], {
      args: { file: keys },
      options: { role: 'lease' },
      files,
    })
    t.match(ended, { exit: 0 })
    const { text } = await ask(port, one.serial)
    t.ok(isGood(text, one), text)
    t.equal((await ask(port, one.serial)).text, text, 'it is signed once')
    t.equal((await ask(port, stolen.serial)).text, 'STOLEN')
    t.match((await ask(port, `rtcreset ${one.serial} 20000101T000000Z 42`)).text, /^rtc01: /)
    const audit = await house.command(['keyring', 'audit'], { json: true })
    t.match(audit.out, one.serial)
    t.notMatch(audit.out, one.uuid)
  },
)

t.test(
  'with the real keyring, a key that is marked as compromised has its ready leases withheld',
  async (t) => {
    const { house, port } = await school(t, {
      changes: [ready(one.serial, one.uuid, end)],
      plugins: ['keyring'],
    })
    const keyring = (command: string, call: object) => house.command(['keyring', command], call)
    t.ok(isGood((await ask(port, one.serial)).text, one), 'of no key anything is known')
    const path = 'lease.public'
    const bytes = readFileSync(join(process.cwd(), 'test', 'vectors', 'bios-crypto', 'keys', path))
    const imported = { args: { file: path }, options: { role: 'lease' }, files: [{ path, bytes }] }
    t.match(await keyring('import', imported), { ended: { exit: 0 } })
    t.ok(isGood((await ask(port, one.serial)).text, one), 'it fits the key')
    const mark = (state: string) => keyring('mark', { args: { key: master.public.id, state } })
    t.match(await mark('compromised'), { ended: { exit: 0 } })
    t.equal((await ask(port, one.serial)).text, '', 'though it was the only key')
    t.match(await mark('active'), { ended: { exit: 0 } })
    t.ok(isGood((await ask(port, one.serial)).text, one))
  },
)

t.test('a thousand laptops at once are all served', async (t) => {
  const keyring = new DeskKeyring()
  const laptops = Array.from({ length: 1000 }, (_, index) => laptop(index))
  const roll = laptops.map(({ serial, uuid }) => ({ serial, laptop: { uuid } }))
  const { port } = await school(t, { keyring, changes: roll })
  const heard = await Promise.all(
    laptops.map(({ serial }, index) => ask(port, serial, { close: index % 2 === 0 })),
  )
  t.ok(heard.every(({ text }, index) => isGood(text, laptops[index] ?? one)))
  t.equal(keyring.signed.length, 1000, 'with a signature each')
  t.comment(`the slowest after ${Math.round(Math.max(...heard.map(({ after }) => after)))} ms`)
})

t.test('a thousand sockets that say nothing keep nobody out, and are closed in time', async (t) => {
  const { port } = await school(t, { changes })
  const idle = await Promise.all(
    Array.from({ length: 1000 }, async () => {
      const socket = silent(t, port)
      await new Promise((resolve) => socket.once('connect', resolve))
      return socket
    }),
  )
  const ends = idle.map((socket) => heard(socket))
  const { text, after } = await ask(port, one.serial)
  t.ok(isGood(text, one))
  t.ok(after < 4500)
  const closed = await Promise.all(ends)
  t.ok(closed.every((end) => end.text === ''))
  t.ok(Math.max(...closed.map((end) => end.after)) < 30_000, 'five seconds, and a sweep')
})

t.test('when all places are taken the oldest gives way, but none that waits for its answer', async (t) => {
  let sign = (): void => undefined
  const signed = new Promise<void>((resolve) => {
    sign = resolve
  })
  const slow = async ({ serial }: Request) => {
    if (serial === stolen.serial) await signed
    return `${serial}\n`
  }
  const { door, port, warnings } = await doorOf(t, { most: 3, answer: slow })
  const waiting = ask(port, stolen.serial)
  await until(() => door.size === 1, 'the first to be there')
  const idle: Promise<unknown>[] = []
  for (let count = 1; count <= 2; count += 1) {
    idle.push(heard(silent(t, port)))
    await until(() => door.size === count + 1, 'an idle one to be there')
  }
  t.match(await ask(port, one.serial), { text: `${one.serial}\n` }, 'a newcomer is served')
  t.match(await idle[0], { text: '' }, 'in the place of the oldest idle one')
  sign()
  t.match(
    await waiting,
    { text: `${stolen.serial}\n` },
    'the one whose lease was being signed was there before all',
  )
  await until(() => warnings.length > 0, 'a warning')
  t.match(warnings, [/all 3 connections .* 1 had to give way/])
})

t.test('a connection is closed when its time is over, whatever its other end does', async (t) => {
  const { door, port } = await doorOf(t, { times: { request: 200, connection: 500 } })
  const drip = silent(t, port)
  const dripping = setInterval(() => drip.write('S'), 150)
  t.teardown(() => clearInterval(dripping))
  t.ok((await heard(drip)).after < 4500, 'one that never comes to an end with its serial')
  const never = silent(t, port)
  never.write(one.serial)
  await until(() => door.size === 1, 'it to be there')
  const began = performance.now()
  await until(() => door.size === 0, 'one that never reads or closes to be gone', 5000)
  t.ok(performance.now() - began > 300, 'after it had its time')
  const stuck = await doorOf(t, {
    answer: () => new Promise(() => undefined),
    times: { request: 300, connection: 300 },
  })
  const { text, after } = await ask(stuck.port, one.serial)
  t.equal(text, '')
  t.ok(after < 14_000, 'nor does a laptop wait for an answer that never comes')
})

t.test('an answer that fails, now or later, closes the connection and nothing else', async (t) => {
  const { port } = await doorOf(t, {
    answer: ({ serial }) => {
      if (serial === one.serial) throw new Error('the disk is on fire')
      return Promise.reject(new Error('later'))
    },
  })
  t.equal((await ask(port, one.serial, { close: false })).text, '')
  t.equal((await ask(port, stolen.serial, { close: false })).text, '')
})

t.test('a server that stops answers who has asked, lets who is there ask, and closes the rest', async (t) => {
  let sign = (): void => undefined
  const signed = new Promise<void>((resolve) => {
    sign = resolve
  })
  const { door, port } = await doorOf(t, {
    answer: async () => signed.then(() => 'late\n'),
    times: { farewell: 300 },
  })
  const waiting = ask(port, one.serial, { close: false })
  const idle = heard(silent(t, port))
  const hurried = silent(t, port)
  await until(() => door.size === 3, 'all to be there')
  door.server.close()
  const drained = door.drain()
  hurried.write(one.serial)
  t.equal((await idle).text, '', 'one that says nothing')
  sign()
  t.equal((await waiting).text, 'late\n')
  t.equal((await heard(hurried)).text, 'late\n')
  await drained
  t.equal(door.size, 0)
})

t.test('a laptop with a dead clock gets a new time, and only one that may have it', async (t) => {
  const keyring = new DeskKeyring()
  const { port } = await school(t, { changes, keyring })
  const asked = `rtcreset ${one.serial} 20000101T000000Z 42`
  const { text } = await ask(port, asked)
  t.match(
    text,
    new RegExp(`^rtc01: ${one.serial} 20000101T000000Z 0000000042 \\d{8}T\\d{6}Z sig01: [^\\n]+\\n$`),
  )
  for (let count = 2; count <= 8; count += 1) t.match((await ask(port, asked)).text, /^rtc01: /, 'again')
  t.equal((await ask(port, asked)).text, '', 'not a ninth time in ten seconds: each costs a signature')
  t.equal((await ask(port, `rtcreset ${stolen.serial} 20000101T000000Z 42`)).text, '', 'not a stolen one')
  t.equal(
    (await ask(port, `rtcreset ${laptop(9).serial} 20000101T000000Z 42`)).text,
    '',
    'nor one without a uuid',
  )
  t.equal(
    (await ask(port, `rtcreset ${laptop(9).serial} 20001301T000000Z 42`)).text,
    '',
    'nor for no time at all',
  )
  t.same([...new Set(keyring.signed)], [`rtc ${one.serial}`])
})

t.test('a question of a reset is over with its line end, its FIN, or a short pause', async (t) => {
  const asked: Request[] = []
  const answer = (request: Request) => {
    asked.push(request)
    return 'done\n'
  }
  const hasty = await doorOf(t, { answer })
  const { port } = await doorOf(t, { answer, times: { pause: 5000 } })
  const question = `rtcreset ${one.serial} 20000101T000000Z 1234567890`
  t.equal((await ask(hasty.port, question, { close: false })).text, 'done\n', 'a pause')
  t.equal((await ask(port, `${question}\n`, { close: false })).text, 'done\n')
  t.equal((await ask(port, question)).text, 'done\n')
  t.equal((await ask(port, [...question])).text, 'done\n', 'byte by byte: no digit is cut off')
  for (const request of asked)
    t.same(request, { ask: 'rtcreset', serial: one.serial, current: '20000101T000000Z', nonce: '1234567890' })
  t.equal((await ask(port, `${question}1`)).text, '', 'eleven digits are no number of a laptop')
})

t.test('whatever comes, in whatever pieces, is a question, needs more, or is nonsense', async (t) => {
  const serial = fc
    .tuple(fc.stringMatching(/^[A-Za-z]{3}$/), fc.stringMatching(/^[0-9A-Fa-f]{8}$/))
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(serial, fc.constantFrom('', '\n', '\r\n'), (text, lineEnd) => {
      t.same(readRequest(`${text}${lineEnd}`, false), { ask: 'lease', serial: parseSerial(text) })
      for (let length = 1; length < text.length; length += 1) {
        if (readRequest(text.slice(0, length), false) !== 'incomplete') return false
        if (readRequest(text.slice(0, length), true) !== 'garbage') return false
      }
      return true
    }),
    runs(200),
  )
  fc.assert(
    fc.property(fc.string({ maxLength: 300, unit: 'binary-ascii' }), (text) => {
      const over = readRequest(text, true)
      return over !== 'incomplete' && over !== 'pausing'
    }),
    runs(2000),
  )
  const reset = fc.tuple(
    serial,
    fc.date({ min: new Date(0), max: new Date('2999-01-01'), noInvalidDate: true }),
    fc.nat(),
  )
  fc.assert(
    fc.property(reset, ([name, date, number]) => {
      const current = `${date.toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
      const text = `rtcreset ${name} ${current} ${number}`
      for (let length = 1; length < text.length - String(number).length + 1; length += 1)
        if (readRequest(text.slice(0, length), false) !== 'incomplete') return false
      const found = readRequest(text, true)
      return typeof found === 'object' && found.ask === 'rtcreset' && Number(found.nonce) === number
    }),
    runs(200),
  )
})

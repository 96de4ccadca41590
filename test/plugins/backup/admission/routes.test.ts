import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { definePlugin } from '../../../../core/api.js'
import { boot } from '../../../../core/testing.js'
import { Admission, type Facts } from '../../../../plugins/backup/admission/admission.js'
import { serveAdmission } from '../../../../plugins/backup/admission/routes.js'
import { Slots } from '../../../../plugins/backup/admission/slots.js'

t.setTimeout(300_000)

const ana = '11111111-2222-4333-8444-555555555555'
const ben = '99999999-2222-4333-8444-555555555555'
const learners = new Map([
  [ana, '1'.repeat(40)],
  ['1'.repeat(40), '1'.repeat(40)],
  [ben, '2'.repeat(40)],
  ['SHC00000002', '2'.repeat(40)],
])
const digest = 'd'.repeat(64)

async function school(t: Test, changes: Partial<Facts> = {}) {
  const slots = new Slots(1)
  const facts: Facts = {
    learners: async (who) => {
      const uid = learners.get(who)
      return uid === undefined ? [] : [{ uid }]
    },
    lastGood: () => undefined,
    digest: () => digest,
    refusal: () => undefined,
    space: async () => undefined,
    away: async () => undefined,
    load: () => 0,
    draining: () => false,
    ...changes,
  }
  const plugin = definePlugin({
    name: 'backup',
    api: 1,
    summary: 'says who may back up',
    start(ctx) {
      serveAdmission(ctx.http.router, new Admission(facts, slots, 5))
    },
  })
  const house = await boot({ plugins: [plugin] })
  t.teardown(() => house.dispose())
  const base = await house.url('httpd')
  return {
    slots,
    port: Number(new URL(base).port),
    async get(path: string, method = 'GET') {
      const answer = await fetch(base + path, { method, headers: { connection: 'close' } })
      return { status: answer.status, headers: answer.headers, text: await answer.text() }
    },
  }
}

/** What no tidy client would send: the address as it is. */
function raw(port: number, address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.setEncoding('utf8')
    socket.on('data', (text) => {
      answer += text
    })
    socket.on('end', () => resolve(answer))
    socket.on('error', reject)
    socket.end(`GET ${address} HTTP/1.1\r\nHost: school\r\nConnection: close\r\n\r\n`)
  })
}

t.test('a laptop is let in with an empty 200, and others are told when to come back', async (t) => {
  const { get, slots } = await school(t)
  const look = await get(`/backup/uuid/available/${ana}`, 'HEAD')
  t.equal(look.status, 200)
  t.equal(slots.figures().reserved, 0, 'HEAD keeps nothing')
  const go = await get(`/backup/uuid/available/${ana}`)
  t.equal(go.status, 200)
  t.equal(go.text, '')
  t.equal(go.headers.get('content-length'), '0')
  t.equal(go.headers.get('cache-control'), 'no-store')
  t.equal(go.headers.get('retry-after'), null)
  t.equal(slots.figures().reserved, 1)
  t.equal((await get(`/backup/uuid/available/${'1'.repeat(40)}`)).status, 200, 'the same by its uid')
  for (const path of [`/backup/uuid/available/${ben}`, '/backup/1/available/SHC00000002']) {
    const later = await get(path)
    t.equal(later.status, 503)
    t.match(later.headers.get('retry-after'), /^\d{2,4}$/)
    t.equal(later.headers.get('cache-control'), 'no-store')
    t.match(later.headers.get('content-type'), /^text\/html/)
    t.match(later.text, /^<!DOCTYPE html><title>503<\/title><p>the school server is busy/)
  }
  const head = await get(`/backup/uuid/available/${ben}`, 'HEAD')
  t.equal(head.status, 503)
  t.match(head.headers.get('retry-after'), /^\d{2,4}$/)
})

t.test('a Journal that is kept already need not be sent', async (t) => {
  const { get, slots } = await school(t)
  const have = await get(`/backup/uuid/available/${ana}?journal=${digest}`)
  t.equal(have.status, 204)
  t.equal(have.text, '')
  t.equal(slots.figures().reserved, 0)
  t.equal((await get(`/backup/uuid/available/${ana}?journal=${'e'.repeat(64)}`)).status, 200)
  for (const query of [
    'journal=',
    'journal=x',
    `journal=${digest}&journal=${digest}`,
    `journal=${digest}%0a`,
  ])
    t.equal((await get(`/backup/uuid/available/${ana}?${query}`)).status, 400, query)
})

t.test('tricks are malformed, strangers unknown, and neither keeps a slot', async (t) => {
  const { get, port, slots } = await school(t)
  const tricks = [
    '%2e%2e%2f',
    '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    `${ana}%0a`,
    `${ana}%00`,
    `%20${ana}`,
    ana.replace('1', '%D9%A1'),
    '%ff%fe',
    '%',
    'x'.repeat(8000),
    '<script>',
    '__proto__',
  ]
  for (const trick of tricks) {
    for (const form of ['uuid', '1']) {
      const answer = await raw(port, `/backup/${form}/available/${trick}`)
      t.match(answer, /^HTTP\/1\.1 400 /, `${form} ${trick.slice(0, 40)}`)
      t.notMatch(answer, '<script>')
    }
  }
  const unknown = await get('/backup/uuid/available/00000000-0000-4000-8000-000000000000')
  t.equal(unknown.status, 404)
  t.match(unknown.text, /<p>this laptop is not registered with this server<\/p>/)
  t.equal(unknown.headers.get('retry-after'), null)
  t.equal((await get('/backup/1/available/constructor')).status, 404)
  t.equal((await get('/backup/uuid/available/')).status, 404)
  t.equal((await get(`/backup/uuid/available/${ana}`, 'POST')).status, 405)
  t.equal(slots.figures().reserved, 0)
})

t.test('what an operator wrote is text, not markup', async (t) => {
  const { get } = await school(t, { refusal: () => 'too <b>large</b> & more' })
  const { status, headers, text } = await get(`/backup/uuid/available/${ana}`)
  t.equal(status, 503)
  t.equal(headers.get('retry-after'), '3600')
  t.match(text, 'too &#60;b&#62;large&#60;/b&#62; &#38; more')
})

t.test('a thousand questions in one second all have an answer, and one of them the slot', async (t) => {
  const { get, slots } = await school(t, {
    learners: async (who) => [{ uid: who.replaceAll('-', '').padEnd(40, '0') }],
  })
  const answers: number[] = []
  const retries = new Map<string | null, number>()
  for (let part = 0; part < 10; part += 1) {
    const asked = Array.from({ length: 100 }, (_, index) =>
      get(
        `/backup/uuid/available/${String(part * 100 + index).padStart(8, '0')}-2222-4333-8444-555555555555`,
      ),
    )
    for (const { status, headers } of await Promise.all(asked)) {
      answers.push(status)
      const told = headers.get('retry-after')
      retries.set(told, (retries.get(told) ?? 0) + 1)
    }
  }
  t.equal(answers.filter((status) => status === 200).length, 1)
  t.equal(answers.filter((status) => status === 503).length, 999)
  t.ok(Math.max(...retries.values()) <= 20, 'no herd')
  t.equal(slots.figures().reserved, 1)
})

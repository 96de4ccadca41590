import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { boot } from '../../../core/testing.js'
import { mayLead } from '../../../plugins/upgrade/download/reach.js'
import { target } from '../../../plugins/upgrade/download/request.js'
import { due, parsePrefetch } from '../../../plugins/upgrade/prefetch/plan.js'
import { check, sumOf } from '../../../plugins/upgrade/sources/checksum.js'
import { candidates } from '../../../plugins/upgrade/sources/packed.js'
import { parseSource } from '../../../plugins/upgrade/sources/word.js'
import { runs } from '../../support/rounds.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { standIn } from '../../support/upgrade/fake-rsync.js'

const source = (word: string) => parseSource(word, 0)

t.test('sources are addresses with {name}, directories, and other school servers', async (t) => {
  t.strictSame(source('https://builds.example/xo1/{name}'), {
    kind: 'http',
    template: 'https://builds.example/xo1/{name}',
    authorization: undefined,
  })
  t.match(source('http://h:8000/{name}/{name}-tree.tar.xz'), {
    template: 'http://h:8000/{name}/{name}-tree.tar.xz',
  })
  t.strictSame(source('/media/builds'), { kind: 'directory', path: '/media/builds' })
  t.strictSame(source('rsync://schoolserver.capital/'), {
    kind: 'school',
    host: 'schoolserver.capital',
    port: 873,
  })
  t.match(source('rsync://[fd00::1]:8730'), { host: 'fd00::1', port: 8730 })
})

t.test('what is no source is refused', async (t) => {
  const refused = [
    ...['ftp://h/{name}', 'file:///{name}', 'builds', 'http:/h/{name}', 'rsync://h/module', 'rsync://-e/'],
    ...[
      'rsync://h:0/',
      'rsync://h:65536/',
      'rsync://[::g]/',
      'rsync://u@h/',
      'http://h/x',
      'http://{name}.h/x',
    ],
    ...['http://h/{name}?a=b', 'http://h/{name}#a', 'http://{name}.h/{name}', 'http:///{name}x y:99999/', ''],
  ]
  for (const word of refused) t.throws(() => source(word), /^(?:must|its)/, word)
})

t.test('a password reaches neither the address nor what is said of a mistake', async (t) => {
  const found = source('https://ana:p%40ss@h/{name}')
  t.strictSame(found, {
    kind: 'http',
    template: 'https://h/{name}',
    authorization: `Basic ${Buffer.from('ana:p@ss').toString('base64')}`,
  })
  const password = fc.stringMatching(/^[a-z:/@?#,%{}]{0,20}SECRET[a-z:/@?#%{}]{0,20}$/)
  fc.assert(
    fc.property(password, fc.constantFrom('/x', '/{name}', ':x/{name}', '/{name}?q', ''), (word, end) => {
      try {
        const read = source(`http://ana:${word}@host${end}`)
        return read.kind === 'http' && !read.template.includes('SECRET')
      } catch (error) {
        return !(error as Error).message.includes('SECRET')
      }
    }),
    runs(2000),
  )
})

t.test('a mistake in a list stops the start, and is named', async (t) => {
  const { plugin } = await standIn(t)
  const start = (settings: Record<string, string>) => boot({ plugins: [plugin, 'upgrade'], settings })
  await t.rejects(start({ 'upgrade-prefetch': '885@02:00, 602@25:00' }), {
    code: 'CONFIG_INVALID',
    message: /upgrade-prefetch .*"602@25:00"/,
  })
  await t.rejects(start({ 'upgrade-sources': '/builds, gopher://h/' }), {
    code: 'CONFIG_INVALID',
    message: /upgrade-sources .*word 2/,
  })
})

t.test('times of day are two numbers of two digits', async (t) => {
  t.strictSame(parsePrefetch('13.2.0_xo1.75-13@02:30'), { name: '13.2.0_xo1.75-13', hour: 2, minute: 30 })
  for (const word of [
    '885',
    '885@',
    '885@2:30',
    '885@24:00',
    '885@02:60',
    '@02:30',
    '../x@02:30',
    '885@02:30 ',
  ])
    t.throws(() => parsePrefetch(word), /"/, word)
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }), (hour, minute) => {
      const two = (number: number) => String(number).padStart(2, '0')
      const read = parsePrefetch(`885@${two(hour)}:${two(minute)}`)
      return read.hour === hour && read.minute === minute
    }),
  )
})

t.test('an appointment is kept once on its day, and not when it was missed by hours', async (t) => {
  const plan = [parsePrefetch('885@02:30')]
  const at = (text: string) => new Date(text).getTime()
  const names = (last: string, now: string) => due(plan, at(last), at(now)).map(({ name }) => name)
  t.same(names('2026-03-02T02:29:30', '2026-03-02T02:30:00'), ['885'])
  t.same(names('2026-03-02T02:29:30', '2026-03-02T02:30:30'), ['885'])
  t.same(names('2026-03-02T02:30:30', '2026-03-02T02:31:30'), [])
  t.same(names('2026-03-02T02:28:30', '2026-03-02T02:29:30'), [])
  t.same(names('2026-03-02T02:31:30', '2026-03-03T02:30:01'), ['885'], 'the next day again')
  t.same(names('2026-03-01T20:00:00', '2026-03-02T08:00:00'), [], 'the machine slept')
  t.same(names('1970-01-01T00:00:10', '2026-03-02T08:00:00'), [], 'the clock was set')
  t.same(due([parsePrefetch('885@23:58')], at('2026-03-01T23:57:30'), at('2026-03-02T00:01:00')).length, 1)
})

t.test('every minute of a year belongs to an appointment once a day', async () => {
  const plan = [parsePrefetch('885@02:30')]
  fc.assert(
    fc.property(fc.date({ min: new Date('2026-01-01'), max: new Date('2026-12-30') }), (day) => {
      if (Number.isNaN(day.getTime())) return true
      let kept = 0
      const minute = 60_000
      for (let now = day.getTime(); now < day.getTime() + 1440 * minute; now += minute)
        kept += due(plan, now - minute, now).length
      return kept === 1
    }),
    runs(50),
  )
})

t.test('both families of names are tried, unless an address is that of a tree', async (t) => {
  t.same(
    candidates('/b/{name}', '885').map(({ tree }) => tree),
    [
      ...['/b/885-tree.tar.xz', '/b/885-tree.tar.lzma', '/b/885-tree.tar.bz2'],
      ...['/b/885.tree.tar.lzma', '/b/885.tree.tar.xz', '/b/885.tree.tar.bz2'],
    ],
  )
  t.strictSame(candidates('/b/{name}.tree.tar.lzma', '885'), [
    { tree: '/b/885.tree.tar.lzma', manifests: ['/b/885.toc', '/b/885.contents'] },
  ])
  t.match(candidates('/b/{name}-tree.tar.bz2', '885'), [{ manifests: ['/b/885.contents', '/b/885.toc'] }])
  t.equal(candidates('/b/{name}', '885-tree.tar.xz').length, 6, 'whatever a laptop asks for')
})

t.test('sums are read as md5sum and sha256sum write them', async (t) => {
  const hex = 'd41d8cd98f00b204e9800998ecf8427e'
  const sum = { algorithm: 'md5', hex }
  const read = (text: string, name = '885-tree.tar.bz2') => sumOf(text, name, 'md5')
  t.strictSame(read(`${hex}  885-tree.tar.bz2\n`), sum)
  t.strictSame(read(`${hex} *885-tree.tar.bz2\r\n`), sum)
  t.strictSame(read(`${hex.toUpperCase()}\n`), sum)
  t.strictSame(read(`${hex}  /home/ana/other.bz2\n`), sum, 'a file that was renamed')
  const other = hex.replace('d4', '00')
  t.strictSame(read(`${other}  x\n${hex}  ./885-tree.tar.bz2\n`), sum, 'one of several')
  for (const text of ['', 'x', `${hex}0`, `${hex}  a\n${other}  b`, hex.slice(1), `<html>${hex}</html>`])
    t.equal(read(text), undefined, text)
  t.equal(sumOf(`${hex}  x`, 'x', 'sha256'), undefined)
  fc.assert(
    fc.property(fc.string({ maxLength: 2000 }), (text) => {
      const found = sumOf(text, 'x', 'md5')
      return found === undefined || /^[0-9a-f]{32}$/.test(found.hex)
    }),
  )
})

t.test('a file is read once for its sum and for its digest', async (t) => {
  const path = join(await temporaryDirectory(t), 'tree')
  const signal = new AbortController().signal
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async (bytes) => {
      await writeFile(path, bytes)
      const [md5 = '', sha256 = ''] = ['md5', 'sha256'].map((kind) =>
        createHash(kind).update(bytes).digest('hex'),
      )
      const one = await check(path, { algorithm: 'md5', hex: md5 }, signal)
      const two = await check(path, { algorithm: 'sha256', hex: sha256 }, signal)
      const wrong = await check(path, { algorithm: 'md5', hex: '0'.repeat(32) }, signal)
      return one.right && two.right && !wrong.right && one.digest === sha256 && wrong.digest === sha256
    }),
    runs(20),
  )
})

t.test('what no sum vouches for is not led from https to http', async (t) => {
  const from = new URL('https://h/885.md5')
  t.throws(() => target(from, 'http://mirror/885.md5', true), {
    code: 'REFUSED',
    message: /from https to http/,
  })
  t.equal(target(from, 'https://mirror/885.md5', true).href, 'https://mirror/885.md5')
  t.equal(target(from, '//mirror/885.md5', true).href, 'https://mirror/885.md5')
  t.equal(target(from, 'http://mirror/885-tree.tar.xz').href, 'http://mirror/885-tree.tar.xz')
  t.equal(target(new URL('http://h/885.md5'), '/x', true).href, 'http://h/x')
})

t.test('a server leads nowhere where only this machine or its cable gets', async (t) => {
  const inner = [
    ...[
      '127.0.0.1',
      '127.8.8.8',
      '0.0.0.0',
      '169.254.169.254',
      '::1',
      '::',
      'fe80::1',
      'fe80::1%eth0',
      'febf::1',
    ],
    ...['::ffff:127.0.0.1', '::ffff:169.254.1.1', '::ffff:7f00:1'],
    ...['64:ff9b::7f00:1', '64:ff9b::169.254.169.254'],
  ]
  for (const address of inner) {
    t.notOk(mayLead('203.0.113.9', address), address)
    t.notOk(mayLead('10.1.2.3', address), address)
  }
  t.ok(mayLead('127.0.0.1', '127.0.0.2'), 'this machine knows itself')
  t.notOk(mayLead('127.0.0.1', '169.254.169.254'))
  t.notOk(mayLead('169.254.1.1', '169.254.169.254'), 'nor the cable all that is on it')
  t.ok(mayLead('169.254.1.1', '169.254.1.1'))
  for (const address of ['203.0.113.1', '2001:db8::1', '172.32.0.1', '64:ff9b::203.0.113.1'])
    t.ok(mayLead('203.0.113.9', address), address)
  const own = [
    ...['10.0.0.1', '172.16.0.1', '192.168.1.1', '100.64.0.1', 'fd00::1', 'fec0::1'],
    ...['::ffff:192.168.1.1', '64:ff9b::10.0.0.1', '64:ff9b::c0a8:101'],
  ]
  for (const address of own) {
    t.notOk(mayLead('203.0.113.9', address), `${address} is not led to from the world`)
    t.notOk(mayLead('2001:db8::9', address), address)
    for (const from of ['10.9.9.9', 'fd00::9', '127.0.0.1', '::ffff:10.9.9.9'])
      t.ok(mayLead(from, address), `but from ${from}`)
  }
})

import fc from 'fast-check'
import t from 'tap'
import { addressOf, hostOf } from '../../../plugins/id/host.js'

t.test('the name or address that a laptop used is taken from its Host header', async (t) => {
  for (const [header, host] of [
    ['schoolserver:8080', 'schoolserver'],
    ['schoolserver', 'schoolserver'],
    ['School.Example:80', 'School.Example'],
    ['school_server:8080', 'school_server'],
    ['192.168.1.5:8080', '192.168.1.5'],
    ['172.18.0.1', '172.18.0.1'],
    ['169.254.3.4:8080', '169.254.3.4'],
    ['[2001:db8::1]:8080', '[2001:db8::1]'],
    ['[fd00::5]', '[fd00::5]'],
    ['escuela-42.edu.uy:8080', 'escuela-42.edu.uy'],
  ] as const)
    t.equal(hostOf(header), host, header)
})

t.test('what other laptops cannot use, or is malformed, is not', async (t) => {
  const junk = [
    ...['', ' ', ':', ':8080', 'localhost', 'LOCALHOST:8080', 'localhost.localdomain', 'a.localhost'],
    ...[
      '127.0.0.1:8080',
      '127.1',
      '127.9.9.9',
      '0.0.0.0',
      '0',
      '2130706433',
      '0x7f000001',
      '0x7f.1',
      '1.2.3',
    ],
    ...['255.255.255.255', '224.0.0.1', '256.1.1.1', '[::1]:8080', '[::]', '[::ffff:127.0.0.1]', '[fe80::1]'],
    ...['[fe80::1%25eth0]', '[ff02::1]', '[::1', '::1', '2001:db8::1', '[127.0.0.1]', '[0:0:0:0:0:0:0:1]'],
    ...[
      'a b',
      'a/b',
      'a@b',
      'user:pw@host',
      'host:port',
      'host:',
      'host:999999',
      'host:1:2',
      'a..b',
      '.a',
      'a.',
    ],
    ...['-a', 'a-', '<x>', "a'b", 'a"b', 'a\\b', 'a,b', 'ä', `${'a'.repeat(64)}`, 'a.'.repeat(130), 'a\0b'],
  ]
  for (const header of junk) t.equal(hostOf(header), undefined, JSON.stringify(header))
})

t.test('an address of a socket', async (t) => {
  t.equal(addressOf('192.168.1.5'), '192.168.1.5')
  t.equal(addressOf('::ffff:192.168.1.5'), '192.168.1.5')
  t.equal(addressOf('2001:db8::1'), '[2001:db8::1]')
  for (const local of [undefined, '', '127.0.0.1', '::1', '::ffff:127.0.0.1', 'fe80::1%eth0', '0.0.0.0'])
    t.equal(addressOf(local), undefined, String(local))
})

t.test('whatever a Host header holds, the answer is a plain name or address', async (t) => {
  const header = fc.oneof(
    fc.string(),
    fc.domain(),
    fc.ipV4(),
    fc.ipV6().map((one) => `[${one}]`),
    fc.tuple(fc.domain(), fc.nat(70_000)).map(([name, port]) => `${name}:${port}`),
  )
  fc.assert(
    fc.property(header, (text) => {
      const host = hostOf(text)
      if (host === undefined) return
      t.match(host, /^(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\])$/)
      t.ok(text.startsWith(host))
      t.notMatch(host, /^(?:(?:127|0)\.[\d.]*$|localhost$|\[::1?\]$)/i)
    }),
  )
})

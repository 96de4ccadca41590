import fc from 'fast-check'
import { type Entry, extended, long } from './handmade-tar.js'

/** Each directory in one spelling: of several, GNU tar takes the first for the one that counts. */
const names = [
  ...[
    'a',
    'a/b',
    'a/b/c',
    'd/',
    'd/e/',
    'd/f',
    './',
    './x',
    'f//g',
    'f/./h',
    'l',
    'l/x',
    '-rf',
    'new\nline',
    '\xff',
  ],
  ...['n'.repeat(100), `${'n'.repeat(120)}/o`, '..', '../outside/secret', '/outside', 'a/..', '...', '', 'A'],
]
const name = fc.constantFrom(...names)
const number = fc.constantFrom(
  ...['0', '5', '512', '70000', '-1', '-1.5', '1.5', '0.000000001', '', 'x', '1e3', '0005'],
)
const record = fc.oneof(
  fc.tuple(fc.constantFrom('path', 'linkpath', ' path', '\tpath', 'path ', 'GNU.sparse.name'), name),
  fc.tuple(
    fc.constantFrom('size', 'uid', 'gid', 'mtime', 'comment', 'hdrcharset', 'GNU.sparse.size'),
    number,
  ),
)
const before = fc.oneof(
  fc
    .tuple(record, fc.constantFrom('x', 'x', 'x', 'g'))
    .map(([one, type]) => extended(Object.fromEntries([one]), type)),
  fc.tuple(fc.constantFrom('L' as const, 'K' as const), name).map(([type, text]) => long(type, text)),
)
/** Fields of a header that are written over, each with its place. */
const forged = fc.oneof(
  fc.constantFrom<[number, string]>(
    ...([100, 108, 116, 124, 136, 329] as const).flatMap((at): [number, string][] =>
      [
        '        ',
        '\0\0\0\0\0\0\0\0',
        ' 1 \0\0\0\0\0',
        '1\0garbag',
        '\x80\0\0\0\0\0\0\x01',
        '\xff'.repeat(8),
      ].map((text) => [at, text]),
    ),
    ...['ustar  \0', '\0\0\0\0\0\0\0\0', 'ustar 00'].map((magic): [number, string] => [257, magic]),
    ...['pre', 'pre/', '..', '/outside', 'p'.repeat(155)].map((prefix): [number, string] => [345, prefix]),
  ),
  fc.tuple(
    fc.integer({ min: 100, max: 344 }),
    fc.string({ minLength: 1, maxLength: 1, unit: 'binary-ascii' }),
  ),
)
const member: fc.Arbitrary<Entry> = fc
  .record({
    name,
    target: name,
    type: fc.constantFrom(...'0000555221134670\0SDMVNXA'),
    mode: fc.constantFrom(0o644, 0o755, 0o4755, 0, 0o100644),
    ...{ uid: fc.nat(2), gid: fc.nat(2), major: fc.nat(4), minor: fc.nat(4) },
    seconds: fc.integer({ min: 0, max: 1e9 }),
    length: fc.constantFrom(0, 1, 511, 512, 513),
    forge: fc.option(forged, { freq: 4 }),
  })
  .map(({ length, forge, ...given }) => ({
    ...given,
    content: '07\0'.includes(given.type) ? 'c'.repeat(length) : '',
    ...(forge !== null && { forge: (head: Buffer) => void head.write(forge[1], forge[0], 'latin1') }),
  }))
/** What may be in a tar: some of it good, some hostile, most of it nothing that a program would write. */
export const anyEntries = fc.array(fc.oneof({ weight: 4, arbitrary: member }, before), {
  minLength: 1,
  maxLength: 6,
})

import fc from 'fast-check'
import t from 'tap'
import { LinkOptionFilter, withoutLinkOptions } from '../../../../plugins/rsync/front/link-options.js'
import { runs } from '../../../support/rounds.js'

/** What comes out of it, for bytes that come in pieces of these sizes. */
async function filtered(
  protocol: number,
  bytes: Buffer,
  sizes: readonly number[] = [bytes.length],
): Promise<string> {
  const filter = new LinkOptionFilter(protocol)
  const out = filter.toArray()
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? 1)
    filter.write(bytes.subarray(at, at + size))
    at += size
  }
  filter.end()
  return Buffer.concat(await out).toString('latin1')
}

const args = (protocol: number, ...words: string[]): string =>
  [...words, ''].map((word) => `${word}${protocol >= 30 ? '\0' : '\n'}`).join('')

t.test('the options that follow links are taken away, and no other', async (t) => {
  for (const [option, left] of [
    ['-L', undefined],
    ['-Lk', undefined],
    ['-logDtprLe.iLsfxCIvu', '-logDtpre.iLsfxCIvu'],
    ['-Lke.iLsf', '-e.iLsf'],
    ['-e.LkLk', '-e.LkLk'],
    ['--copy-links', undefined],
    ['--copy-unsafe-links', undefined],
    ['--copy-dirlinks', undefined],
    ['--copy-devices', '--copy-devices'],
    ['--keep-dirlinks', '--keep-dirlinks'],
    ['--numeric-ids', '--numeric-ids'],
    ['-B700', '-B700'],
    ['.', '.'],
  ] as const)
    t.equal(withoutLinkOptions(option), left, option)
})

t.test('paths and what follows the arguments come as they were, in every protocol', async (t) => {
  const rest = 'L-L\0-L\0\n\0--copy-links\0'
  for (const protocol of [29, 30, 32]) {
    const asked = args(protocol, '--server', '--sender', '-lLe.iLsf', '.', 'build-x/-L', '-L', '--copy-links')
    const heard = await filtered(protocol, Buffer.from(asked + rest, 'latin1'))
    t.equal(
      heard,
      args(protocol, '--server', '--sender', '-le.iLsf', '.', 'build-x/-L', '-L', '--copy-links') + rest,
    )
    const secluded =
      args(protocol, '--server', '--sender', '-s', '.') + args(30, 'rsync', '-lL', '.', '-L') + rest
    t.equal(
      await filtered(protocol, Buffer.from(secluded, 'latin1')),
      args(protocol, '--server', '--sender', '-s', '.') + args(30, 'rsync', '-l', '.', '-L') + rest,
      'with the arguments in a list of their own',
    )
  }
})

t.test('whatever comes, in whatever pieces, is passed on but for those options', async (t) => {
  const word = fc.oneof(
    fc.constantFrom('-a', '-L', '--copy-links', '-s', '.', '-', '--', ''),
    fc.string({ maxLength: 9 }),
  )
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(word, { maxLength: 12 }),
      sizes,
      fc.constantFrom(29, 32),
      async (words, sizes, protocol) => {
        const bytes = Buffer.from(words.join(protocol === 29 ? '\n' : '\0'), 'utf8')
        const whole = await filtered(protocol, bytes)
        t.equal(await filtered(protocol, bytes, sizes), whole, 'pieces change nothing')
        if (!/L|k|copy/.test(words.join(''))) t.equal(whole, bytes.toString('latin1'))
      },
    ),
    runs(300),
  )
  const endless = Buffer.alloc(300_000, 'L')
  t.equal((await filtered(32, endless, [7000])).length, endless.length, 'what never ends is not held back')
})

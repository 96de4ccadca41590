import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import yazl from 'yazl'
import { judgeFile } from '../../../plugins/keyring/verify/file.js'
import type { FileQuestion } from '../../../plugins/keyring/verify/verdict.js'
import { digests } from '../../../plugins/keyring/wire/signature.js'
import { cli, run } from '../../support/core/server-process.js'
import { ana, link, pathOf, publicKey, sig01 } from '../../support/keyring/keyring-vectors.js'
import { runs } from '../../support/rounds.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

/** What stands for an image: bytes of no form, more than one piece of a stream. */
const image = Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * n) >> 3))

const question = (more: Partial<FileQuestion> = {}): FileQuestion => ({
  at: '20270101T000000Z',
  trusted: [publicKey('lease')],
  signal: new AbortController().signal,
  ...more,
})

type Content = readonly (readonly [name: string, bytes: string | Buffer, compress?: boolean])[]

async function zipOf(content: Content, comment = ''): Promise<Buffer> {
  const zip = new yazl.ZipFile()
  for (const [name, bytes, compress = false] of content)
    zip.addBuffer(Buffer.from(bytes as string), name, { compress, mtime: new Date(0) })
  zip.end({ comment, forceZip64Format: false })
  return buffer(zip.outputStream as unknown as AsyncIterable<Uint8Array>)
}

const sha = `${sig01('lease', image)}\n`
const rmd = `${sig01('lease', image, 'rmd160')}\n`

/** What a laptop makes of a zip. */
async function verdictOn(t: Test, bytes: Buffer, name = 'runos.zip', more: Partial<FileQuestion> = {}) {
  const path = join(await temporaryDirectory(t), name)
  await writeFile(path, bytes)
  const { kind, found } = await judgeFile(path, question(more))
  t.equal(found.length, 1)
  return { kind, ...found[0]?.verdict }
}

t.test('a zip of an operating system', async (t) => {
  const verdict = async (content: Content, more?: Partial<FileQuestion>) =>
    verdictOn(t, await zipOf(content), 'runos.zip', more)
  const lines = (text: string) =>
    verdict([
      ['data.sig', text],
      ['data.img', image],
    ])

  await t.test('is good when its image is signed with sha256', async (t) => {
    t.match(await lines(sha), {
      kind: 'zip',
      verdict: /^valid$/,
      reason: /with sha256, which is enough/,
      unchecked: undefined,
    })
    t.match(
      await verdict([
        ['data.img', image],
        ['version.txt', '1'],
        ['data.sig', sha],
      ]),
      { verdict: /^valid$/ },
    )
    t.match(await lines(sha.trimEnd()), { verdict: /^valid$/ })
    t.match(
      await lines(`${sig01('rogue', image)}\n${sha}`),
      { verdict: /^valid$/ },
      'strangers may sign it too',
    )
  })

  await t.test('is refused when anybody else signed it, or something else', async (t) => {
    t.match(await lines(`${sig01('rogue', image)}\n`), { verdict: 'no-match', reason: /no trusted key$/ })
    t.match(await lines(''), { verdict: 'no-match' })
    t.match(await lines(`${sig01('lease', image.subarray(1))}\n`), {
      verdict: 'invalid',
      reason: /is not what/,
    })
    t.match(await lines(`${sig01('lease', image, 'sha512')}\n${sha}`), {
      verdict: 'invalid',
      reason: /want sha256/,
    })
    t.match(
      await lines(`${sig01('lease', 'x')}\n${sha}`),
      { verdict: 'invalid' },
      'the first line by a known key counts',
    )
    t.match(await lines(sha.replace('\n', '\r\n')), { verdict: 'invalid', reason: /CRLF/ })
    t.match(await lines(sha.replace(' sha256', '  sha256')), { verdict: 'no-match' })
    t.match(await lines(`${sha.trimEnd()}00\n`), { verdict: 'invalid', reason: /not "hash key signature"/ })
  })

  await t.test('is refused when a laptop could not read it, or would read something else', async (t) => {
    const rest: Content[0] = ['data.img', image]
    const cases: [content: Content, reason: RegExp][] = [
      [[rest], /holds no data\.sig$/],
      [[['data.sig', sha]], /holds no data\.img$/],
      [[['data.sig', sha], rest, ['data.img', 'x']], /holds data\.img twice/],
      [[['data.sig', sha], rest, ['data.sig', 'x']], /holds data\.sig twice/],
      [[['boot/data.sig', sha], rest], /holds no data\.sig/],
      [[['DATA.SIG', sha], rest], /holds no data\.sig/],
      [
        [
          ['data.sig', sha],
          ['data.img', image, true],
        ],
        /holds data\.img packed/,
      ],
      [[['data.sig', sha, true], rest], /holds data\.sig packed/],
      [[['data.sig', sha.padEnd(70_000, '\n')], rest], /a data\.sig of more than 65536 bytes/],
      [
        [['data.sig', sha], rest, ...Array.from({ length: 63 }, (_, n) => [`${n}`, ''] as const)],
        /holds 65 files/,
      ],
      [[], /holds no data\.sig/],
    ]
    for (const [content, reason] of cases) {
      const found = await verdict(content)
      t.match(found, { verdict: 'invalid', reason }, String(reason))
    }
    const zip = await zipOf([['data.sig', sha], rest])
    t.match(await verdictOn(t, zip.subarray(0, 1000)), {
      verdict: 'invalid',
      reason: /is no zip that a laptop/,
    })
    t.match(await verdictOn(t, Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(100)])), {
      verdict: 'invalid',
    })
  })

  await t.test('is refused when its two tables of contents differ', async (t) => {
    const zip = await zipOf([
      ['data.sig', sha],
      ['data.img', image],
      ['data.imh', Buffer.alloc(image.length)],
    ])
    t.match(await verdictOn(t, zip), { verdict: /^valid$/ })
    // Of the header in front of a file: a laptop, which reads from the front, sees that one alone.
    const header = (name: string) => zip.indexOf(name) - 30
    const edited = (edit: (bytes: Buffer) => void) => {
      const bytes = Buffer.from(zip)
      edit(bytes)
      return verdictOn(t, bytes)
    }
    const renamed = edited((bytes) => {
      bytes.write('data.imh', header('data.img') + 30, 'latin1')
      bytes.write('data.img', header('data.imh') + 30, 'latin1')
    })
    t.match(await renamed, { verdict: 'invalid', reason: /one thing of its files at its end/ })
    const flagged = edited((bytes) => bytes.writeUInt16LE(8, header('data.sig') + 6))
    t.match(await flagged, { verdict: 'invalid', reason: /size of a file behind it/ })
    const shorter = edited((bytes) => bytes.writeUInt32LE(image.length - 1, header('data.img') + 18))
    t.match(await shorter, { verdict: 'invalid', reason: /one thing of its files at its end/ })
  })

  await t.test('of which any byte was changed is good only where the byte says nothing', async (t) => {
    const small = Buffer.from('a small image')
    const zip = await zipOf([
      ['data.sig', `${sig01('lease', small)}\n`],
      ['data.img', small],
    ])
    const path = join(await temporaryDirectory(t), 'runos.zip')
    const from = zip.indexOf(small)
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: zip.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (place, flip) => {
          const bytes = Buffer.from(zip)
          bytes.writeUInt8((bytes[place] ?? 0) ^ flip, place)
          await writeFile(path, bytes)
          const { found } = await judgeFile(path, question()).catch(() => ({ found: [] }))
          const isValid = found[0]?.verdict.verdict === 'valid'
          const isSigned = bytes.subarray(from, from + small.length).equals(small)
          return !isValid || isSigned
        },
      ),
      runs(500),
    )
    t.pass('never otherwise')
  })

  await t.test('may be signed for one laptop, through a delegation', async (t) => {
    const { serial } = ana
    const expiry = '20300101T000000Z'
    const [first, last] = [
      link('lease', { serial, expiry, payload: publicKey('server').key01 }),
      link('server', { serial, expiry, payload: image.toString('latin1'), whole: true }),
    ]
    const content: Content = [
      ['data.sig', `sig02: ${first} ${last}\n`],
      ['data.img', image],
    ]
    t.match(await verdict(content, { serial }), { verdict: /^valid$/, unchecked: undefined, expiry })
    t.match(await verdict(content), { verdict: /^valid$/, unchecked: /^no serial/ })
    t.match(await verdict(content, { serial: 'ABC00000000' }), { verdict: 'invalid' })
  })
})

t.test('a zip of firmware needs both hashes, by one key', async (t) => {
  const verdict = async (text: string, name = 'bootfw.zip') =>
    verdictOn(
      t,
      await zipOf([
        ['data.sig', text],
        ['data.img', image],
      ]),
      name,
    )
  t.match(await verdict(sha + rmd), {
    verdict: /^valid$/,
    reason: /sha256 and rmd160, as firmware/,
    unchecked: undefined,
  })
  t.match(
    await verdict(sha + rmd, 'q2f20.zip'),
    { verdict: /^valid$/, reason: /as firmware/ },
    'whatever it is called',
  )
  t.match(await verdict(sha), {
    verdict: 'invalid',
    reason: /has no line by \w{12} with rmd160, which firmware needs/,
  })
  t.match(await verdict(sha + sha), { verdict: 'invalid', reason: /want rmd160/ })
  t.match(await verdict(rmd + sha), { verdict: 'invalid', reason: /want sha256/ })
  t.match(await verdict(rmd), { verdict: 'invalid' })
  const other = `${sig01('rogue', image, 'rmd160')}\n`
  t.match(await verdict(sha + other), { verdict: 'invalid', reason: /has no line by/ })
  t.match(await verdict(sha + other + rmd), { verdict: /^valid$/ })
  t.match(await verdict(`${sha}${sig01('lease', 'x', 'rmd160')}\n`), {
    verdict: 'invalid',
    reason: /is not what/,
  })
})

t.test('where OpenSSL knows no rmd160 firmware is not said to be good', async (t) => {
  const known: Record<string, string> = digests
  const { rmd160 } = digests
  t.teardown(() => {
    known.rmd160 = rmd160
  })
  const firmware = await zipOf([
    ['data.sig', sha + rmd],
    ['data.img', image],
  ])
  const os = await zipOf([
    ['data.sig', sha],
    ['data.img', image],
  ])
  known.rmd160 = 'unheard-of'
  t.match(await verdictOn(t, firmware, 'bootfw.zip'), {
    verdict: /^valid$/,
    unchecked: 'no rmd160 in the OpenSSL of this system',
  })
  t.match(await verdictOn(t, os), { verdict: /^valid$/, unchecked: undefined })
})

t.test('signatures beside a file', async (t) => {
  const folder = await temporaryDirectory(t)
  const data = join(folder, 'data')
  await writeFile(data, image)
  const verdicts = async (text: string, more: Partial<FileQuestion> = {}) => {
    await writeFile(join(folder, 'sig'), text)
    return (await judgeFile(join(folder, 'sig'), question({ data, ...more }))).found.map(
      ({ verdict }) => verdict,
    )
  }
  const all = (['sha256', 'sha512', 'rmd160'] as const).map((hash) => sig01('lease', image, hash))

  await t.test('are good with each hash', async (t) => {
    t.match(await verdicts(all.join('\n')), [
      { verdict: /^valid$/, reason: /^line 1 is signed by / },
      { verdict: /^valid$/, reason: /^line 2 / },
      { verdict: /^valid$/, reason: /^line 3 / },
    ])
    t.match(await verdicts(`${all[0]}\r\n`), [{ verdict: /^valid$/ }])
    t.match(await verdicts(`${sig01('rogue', image)}\n${all[0]}\n`), [
      { verdict: 'no-match' },
      { verdict: /^valid$/ },
    ])
  })

  await t.test('are refused over other bytes, or in another form', async (t) => {
    t.match(await verdicts(sig01('lease', image.subarray(1))), [
      { verdict: 'invalid', reason: /line 1 is not what/ },
    ])
    t.match(await verdicts(`${all[0]}0`), [{ verdict: 'invalid', reason: /not "hash key signature"/ }])
    t.match(await verdicts(`${all[0]}\n`.repeat(65)), [
      { verdict: 'invalid', reason: /more than the 64 lines/ },
    ])
  })

  await t.test('may go through links of one hash', async (t) => {
    const { serial } = ana
    const expiry = '20300101T000000Z'
    const chain = (hash: 'sha256' | 'sha512') =>
      `sig02: ${[
        link('lease', { serial, expiry, payload: publicKey('server').key01, hash }),
        link('server', { serial, expiry, payload: image.toString('latin1'), whole: true }),
      ].join(' ')}`
    t.match(await verdicts(chain('sha256'), { serial }), [{ verdict: /^valid$/, expiry }])
    t.match(await verdicts(chain('sha256')), [{ verdict: /^valid$/, unchecked: /^no serial/ }])
    t.match(await verdicts(chain('sha512'), { serial }), [
      { verdict: 'invalid', reason: /1 of 2, that is signed with sha512/ },
    ])
  })

  await t.test('on the command line', async (t) => {
    const sig = join(folder, 'sig')
    const verify = (...words: string[]) =>
      cli(t, ['keyring', 'verify', sig, '--trust', pathOf('keys/lease.public'), ...words], { home: folder })
    await writeFile(sig, `${sig01('rogue', image)}\n${all[0]}\n`)
    t.match(await verify('--data', 'data'), {
      code: 0,
      out: /^refused: line 1 .*\nvalid: line 2 .*\n$/,
      err: '',
    })
    t.match(await verify(), { code: 64, err: /signature of a file\n {2}name that file with --data/ })
    t.match(await verify('--data', 'nowhere'), { code: 66 })
    await run(t, ['mkfifo', 'pipe'], { cwd: folder })
    t.match(await verify('--data', 'pipe'), { code: 66, err: /pipe is no file/ })
    await writeFile(sig, `${sig01('rogue', image)}\n`)
    t.match(await verify('--data', 'data'), { code: 1, out: /^refused: line 1 .*no trusted key\n$/ })
    await writeFile(sig, `${all[0]}\n${sig01('lease', 'x')}\n`)
    t.match(
      await verify('--data', 'data'),
      { code: 1, out: /^valid: .*\nrefused: / },
      'all by known keys must be good',
    )
    await writeFile(
      sig,
      await zipOf([
        ['data.sig', sha],
        ['data.img', image],
      ]),
    )
    t.match(await verify(), {
      code: 0,
      out: /^valid: data\.sig is signed by \w{12}, with sha256, which is enough/,
    })
  })
})

import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type Entry, fromBuffer, type ZipFile } from 'yauzl'
import { boot, type TestHouse } from '../../../core/testing.js'
import { readLaptops } from '../../../plugins/keyring/laptops.js'
import keyring from '../../../plugins/keyring/plugin.js'
import { isSignedBy, parseSignature } from '../../../plugins/keyring/wire/signature.js'
import { made } from '../../support/keyring/key-files.js'
import { publicOf, second, third, xo } from '../../support/keyring/open-keyring.js'
import { watchTurns } from '../../support/longest-turn.js'
import { runs } from '../../support/rounds.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const read = (text: string) => readLaptops(Buffer.from(text))

t.test('lists of laptops are read as deployments have them', async (t) => {
  const plain = await read(readFileSync('test/vectors/bios-crypto/laptops.csv', 'utf8'))
  t.strictSame(plain, { laptops: [xo, second, third], refused: [] })
  const forms: Record<string, string> = {
    'with quotes and CRs': `"${xo.serial}","${xo.uuid}"\r\n"${second.serial}","${second.uuid}"\r\n`,
    'with a heading, blanks and blank lines': `Serial , UUID\n\n ${xo.serial} , ${xo.uuid} \n   \n${second.serial},${second.uuid}`,
    'with a byte order mark and semicolons': `\ufeff${xo.serial};${xo.uuid}\n${second.serial};${second.uuid}\n`,
    'with line ends of all kinds': `${xo.serial},${xo.uuid}\r${second.serial},${second.uuid}\r\n${xo.serial},${xo.uuid}\n`,
    'in small letters, and empty cells behind': `${xo.serial.toLowerCase()},${xo.uuid},,\n${second.serial},${second.uuid},\n`,
    'quoted with blanks inside': `" ${xo.serial} ","${xo.uuid} "\n" ${second.serial}", "  ${second.uuid}"\n`,
    'quoted with blanks around': ` "${xo.serial}" , "${xo.uuid}" \r\n"${second.serial}", "${second.uuid}"\r\n`,
  }
  for (const [name, text] of Object.entries(forms))
    t.strictSame(await read(text), { laptops: [xo, second], refused: [] }, name)
})

t.test('a list may name schools, with commas in their names', async (t) => {
  const text = `school,serial,uuid\r\n"Escuela 42, Ñandutí",${xo.serial},${xo.uuid}\r\n,${second.serial},${second.uuid}\r\n`
  t.strictSame(await read(text), { laptops: [{ ...xo, school: 'Escuela 42, Ñandutí' }, second], refused: [] })
})

t.test('lines that name no laptop are refused by their number, and no uuid is said', async (t) => {
  const text = [
    'serial,uuid',
    `${xo.serial},${xo.uuid}`,
    `SHC123,${second.uuid}`,
    `${second.serial},none`,
    `${second.serial}`,
    `a,b,${second.serial},${second.uuid}`,
    `${xo.serial},${third.uuid}`,
    `${xo.serial},${xo.uuid}`,
    'serial,uuid',
  ].join('\n')
  const { laptops, refused } = await read(text)
  t.strictSame(laptops, [xo])
  t.match(refused, [
    { line: 3, reason: 'has no serial of three letters and eight hex digits' },
    { line: 4, reason: `has no uuid for ${second.serial}` },
    { line: 5, reason: /has 1 cells/ },
    { line: 6, reason: /has 4 cells/ },
    { line: 7, reason: `${xo.serial} has another uuid here than in line 2` },
    { line: 9 },
  ])
  t.equal(refused.length, 6)
  for (const { uuid } of [xo, second, third]) t.notMatch(JSON.stringify(refused), uuid)
})

t.test('what is no list is refused, whatever it is', async (t) => {
  await t.rejects(read(`"${xo.serial},${xo.uuid}\n`), {
    code: 'REQUEST_INVALID',
    message: /no list of laptops/,
  })
  await t.rejects(read('x'.repeat(1_000_000)), { code: 'REQUEST_INVALID' })
  const torn = `${xo.serial},${xo.uuid}\n${second.serial},${second.uuid}"\n`
  await t.rejects(read(torn), { code: 'REQUEST_INVALID', message: /line 2/ })
  const told = await read(torn).catch(({ message }) => `${message}`)
  t.notMatch(told, second.uuid.slice(0, 8), 'a quote in the wrong place tells no uuid')
  await t.rejects(read('x\n'.repeat(20_000)), { code: 'REQUEST_INVALID', message: /more than 10000 lines/ })
  t.strictSame(await read(''), { laptops: [], refused: [] })
  const bytes = fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
    const { laptops } = await readLaptops(bytes).catch((error: { code?: string }) => {
      if (error.code !== 'REQUEST_INVALID') throw error
      return { laptops: [] }
    })
    return laptops.length === 0
  })
  await t.resolves(fc.assert(bytes, runs(300)))
})

t.test('a list as long as a country is read while others get their turn', async (t) => {
  const rows = Array.from({ length: 40_000 }, (_, n) => `SHC${n.toString(16).padStart(8, '0')},${xo.uuid}\n`)
  let turns = 0
  const counting = setInterval(() => {
    turns += 1
  }, 1)
  t.teardown(() => clearInterval(counting))
  t.equal((await read(rows.join(''))).laptops.length, 40_000)
  t.ok(turns > 5, `${turns} turns`)
})

/** An authority's house with the keys of the vectors, for files. */
async function authority(t: Test): Promise<TestHouse> {
  const house = await boot({ plugins: [keyring], settings: { 'keyring-role': 'authority' } })
  t.teardown(() => house.dispose())
  for (const [role, name] of [
    ['os', 'lease'],
    ['fs', 'oats'],
    ['fw', 'developer'],
  ] as const) {
    const files = [{ path: `${name}.private`, bytes: made(`${name}.private`) }]
    const { ended } = await house.command(['keyring', 'import'], {
      args: { file: '-' },
      options: { role },
      files,
    })
    if (ended.exit !== 0) throw new Error(JSON.stringify(ended))
  }
  return house
}

const image = Buffer.from(Array.from({ length: 5000 }, (_, n) => (n * 7) % 251))

function lineFits(line: string, key: string): boolean {
  const signature = parseSignature(line)
  if (signature.version !== 1) return false
  const publicKey = publicOf(key)
  return signature.mark.key === publicKey.id && isSignedBy(publicKey, signature.mark, image)
}

t.test('a file is signed by the key of its role, beside it or to standard output', async (t) => {
  const house = await authority(t)
  const sign = (options: Record<string, string>) =>
    house.command(['keyring', 'sign'], {
      args: { file: '-' },
      options,
      files: [{ path: 'vmlinuz', bytes: image }],
    })
  for (const [role, key] of [
    ['os', 'lease'],
    ['fs', 'oats'],
    ['fw', 'developer'],
  ] as const) {
    for (const hash of ['sha256', 'sha512', 'rmd160']) {
      const { ended, out, err } = await sign({ role, hash })
      t.equal(ended.exit, 0, err)
      t.match(out, new RegExp(`^sig01: ${hash} [0-9a-f]{64} [0-9a-f]{512}\n$`))
      t.ok(lineFits(out.trimEnd(), key), `${role} ${hash}`)
    }
  }
  const to = join(temporaryDirectorySync(t), 'vmlinuz.sig')
  t.match(await sign({ to }), { ended: { exit: 0 }, out: '' })
  t.ok(lineFits(readFileSync(to, 'utf8').trimEnd(), 'lease'))
  const { err, ended } = await house.command(['keyring', 'sign'], { args: { file: 'x' } })
  t.not(ended.exit, 0, err)
})

t.test('a large image is signed without the server standing still', async (t) => {
  const house = await authority(t)
  const longest = watchTurns(t)
  const files = [{ path: 'image', bytes: Buffer.alloc(48 << 20, 7) }]
  const { out } = await house.command(['keyring', 'sign'], {
    ...{ args: { file: '-' }, options: { hash: 'rmd160' }, files },
  })
  t.match(out, /^sig01: rmd160 /)
  t.ok(longest() < 400, `${longest()} ms`)
})

/** What a zip holds: entries with their content as it lies there. */
async function unzipped(bytes: Buffer): Promise<{ entry: Entry; content: Buffer }[]> {
  const zip = await new Promise<ZipFile>((resolve, reject) =>
    fromBuffer(bytes, { lazyEntries: false }, (error, file) =>
      error === null ? resolve(file) : reject(error),
    ),
  )
  const entries: Entry[] = []
  await new Promise<void>((resolve) =>
    zip.on('entry', (entry: Entry) => entries.push(entry)).on('end', resolve),
  )
  return entries.map((entry) => {
    const head = entry.relativeOffsetOfLocalHeader
    const from = head + 30 + bytes.readUInt16LE(head + 26) + bytes.readUInt16LE(head + 28)
    return { entry, content: bytes.subarray(from, from + entry.compressedSize) }
  })
}

t.test('an image becomes a zip of data.sig and data.img, stored as the firmware wants them', async (t) => {
  const house = await authority(t)
  const folder = temporaryDirectorySync(t)
  const bundle = async (as: string, name: string) => {
    const to = join(folder, name)
    const { ended, err } = await house.command(['keyring', 'bundle'], {
      ...{ args: { file: 'x' }, options: { as, to }, files: [{ path: 'x', bytes: image }] },
    })
    t.equal(ended.exit, 0, err)
    return { bytes: readFileSync(to), mode: statSync(to).mode & 0o777 }
  }
  for (const [as, key, hashes] of [
    ['os', 'lease', ['sha256']],
    ['fw', 'developer', ['sha256', 'rmd160']],
  ] as const) {
    const { bytes } = await bundle(as, `${as}.zip`)
    const [sig, img, ...more] = await unzipped(bytes)
    t.strictSame(more, [])
    t.strictSame([sig?.entry.fileName, img?.entry.fileName], ['data.sig', 'data.img'])
    for (const one of [sig, img]) {
      t.equal(one?.entry.compressionMethod, 0, 'stored')
      t.equal((one?.entry.generalPurposeBitFlag ?? 8) & 8, 0, 'its size stands in front of it')
      t.equal(one?.entry.extraFields.length, 0)
    }
    t.ok(img?.content.equals(image))
    const lines = sig?.content.toString().split('\n') ?? []
    t.equal(lines.pop(), '', 'each line has its end')
    t.strictSame(
      lines.map((line) => line.split(' ')[1]),
      hashes,
    )
    for (const line of lines) t.ok(lineFits(line, key))
    // But for the signatures, which hold chance, the same image makes the same zip.
    const again = (await bundle(as, `${as}-again.zip`)).bytes
    const parts = (await unzipped(again)).map(({ entry, content }) => [
      ...[entry.fileName, entry.lastModFileDate, entry.lastModFileTime, entry.externalFileAttributes],
      entry.fileName === 'data.img' ? createHash('sha256').update(content).digest('hex') : content.length,
    ])
    t.strictSame(
      parts,
      [sig, img].map((one) => [
        ...[one?.entry.fileName, one?.entry.lastModFileDate, one?.entry.lastModFileTime],
        one?.entry.externalFileAttributes,
        one === img ? createHash('sha256').update(image).digest('hex') : one?.content.length,
      ]),
    )
    t.equal(again.length, bytes.length)
  }
})

t.test('a bundle without a name is not written, and nothing is overwritten', async (t) => {
  const house = await authority(t)
  const to = join(temporaryDirectorySync(t), 'runos.zip')
  writeFileSync(to, 'mine')
  const bundle = (options: Record<string, string>) =>
    house.command(['keyring', 'bundle'], {
      args: { file: 'x' },
      options,
      files: [{ path: 'x', bytes: image }],
    })
  t.match(await bundle({}), { ended: { exit: 64 } })
  t.not((await bundle({ to })).ended.exit, 0)
  t.equal(readFileSync(to, 'utf8'), 'mine')
  t.ok(existsSync(to))
})

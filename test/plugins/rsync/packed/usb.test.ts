import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { cli } from '../../../support/core/server-process.js'
import { sha1sum } from '../../../support/core/signed-stick.js'
import { needs } from '../../../support/needs.js'
import { tarOf } from '../../../support/rsync/handmade-tar.js'
import { pack, packByBuilder } from '../../../support/rsync/packed-builds.js'
import { openHouse, type RsyncHouse } from '../../../support/rsync/rsync-server.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

const has = (t: Test): boolean => needs(t, 'rsync', 'rsync') && needs(t, 'setfattr', 'attr')

const of = (...names: string[]) => ({ tree: gzipSync(tarOf(...names.map((name) => ({ name })))) })

interface Stick {
  readonly path: string
  readonly folder: string
  /** Writes its manifest: of what is on it, or of these. */
  sum(names?: readonly string[]): Promise<void>
}

async function newStick(t: Test): Promise<Stick> {
  const path = await temporaryDirectory(t)
  const folder = join(path, 'xs-xobuilds')
  await mkdir(folder)
  const sum = async (names?: readonly string[]) => {
    await rm(join(folder, 'manifest.sha1'), { force: true })
    await writeFile(join(folder, 'manifest.sha1'), sha1sum(folder, names ?? (await readdir(folder))))
  }
  return { path, folder, sum }
}

/** Runs `rsync usb`. @returns its one line, what it said besides, and its exit code */
async function load(house: RsyncHouse, { path }: Pick<Stick, 'path'>) {
  const { ended, out, err } = await house.command(['rsync', 'usb'], { args: { mountpoint: path } })
  if (out.split('\n').length !== 2) throw new Error(`not one line: ${out}`)
  return { line: out.trim(), said: err, exit: ended.exit }
}

const served = async (house: RsyncHouse): Promise<string[]> =>
  [...(await house.rsync('::')).out.matchAll(/^build-(\S+)/gm)].map(([, name = '']) => name)

t.test('a stick brings builds, and one line says so', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const stick = await newStick(t)
  await pack(stick.folder, 'os885', { ...of('a'), name: '885' })
  await packByBuilder(stick.folder, 'os13', { ...of('b'), packing: 'gz', name: '13.2.0-13' })
  await stick.sum()
  const first = await load(house, stick)
  t.equal(first.line, '2 builds published (13.2.0-13, 885); you can take the stick out')
  t.equal(first.exit, 0)
  const said = ['copying os885-tree.tar.gz', '885: unpacking os885-tree.tar.gz', '885 published']
  const places = said.map((line) => first.said.indexOf(`${line}\n`))
  t.ok(
    places.every((place, index) => place > (places[index - 1] ?? -1)),
    'each step is told',
  )
  t.same(await served(house), ['13.2.0-13', '885'])
  t.match(await load(house, stick), { line: 'nothing is new on it; you can take the stick out', exit: 0 })

  await pack(stick.folder, 'os885', { ...of('c'), name: '885' })
  await stick.sum()
  t.match(await load(house, stick), { line: '1 build published (885); you can take the stick out', exit: 0 })
})

t.test('what the manifest does not name is refused, and what is damaged changes nothing', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const packed = join(house.root, 'rsync', 'xobuilds-packed')
  const stick = await newStick(t)
  await pack(stick.folder, 'os885', { ...of('a'), name: '885' })
  await stick.sum()
  await pack(stick.folder, 'os886', { ...of('a'), name: '886' })
  await symlink('/etc/passwd', join(stick.folder, 'os885.toc'))
  await writeFile(join(stick.folder, '.Trash'), '')
  await mkdir(join(stick.folder, 'deep'))
  await pack(join(stick.folder, 'deep'), 'os888')
  const first = await load(house, stick)
  t.match(
    first.line,
    /^1 build published \(885\), but not all \(deep: .*, and 5 more\); you can take the stick out$/,
  )
  t.equal(first.exit, 65)
  t.match(first.said, /^deep refused: manifest\.sha1 does not name this directory$/m)
  t.match(first.said, /^os886-tree\.tar\.gz refused: manifest\.sha1 does not name this file$/m)
  t.same((await readdir(packed)).sort(), [
    'os885-tree.tar.gz',
    'os885-tree.tar.gz.md5',
    'os885.contents',
    'os885.name',
  ])

  for (const name of ['os885.toc', 'deep']) await rm(join(stick.folder, name), { recursive: true })
  const tree = join(stick.folder, 'os885-tree.tar.gz')
  const before = await readFile(join(packed, 'os885-tree.tar.gz'))
  await stick.sum()
  await writeFile(tree, Buffer.concat([await readFile(tree), Buffer.from('x')]))
  const damaged = await load(house, stick)
  t.match(
    damaged.line,
    /^1 build published \(886\), but not all \(os885-tree\.tar\.gz: xs-xobuilds\/os885-tree\.tar\.gz has the sum/,
  )
  t.equal(damaged.exit, 65)
  t.ok(before.equals(await readFile(join(packed, 'os885-tree.tar.gz'))))
  t.same(await served(house), ['885', '886'])

  const half = await newStick(t)
  await pack(half.folder, 'os887', { ...of('a'), name: '887', md5: null })
  await writeFile(join(half.folder, 'film.avi'), 'a film')
  await half.sum()
  const missing = await load(house, half)
  t.match(missing.said, /^film\.avi refused: it is no part of a packed build$/m)
  t.match(
    missing.said,
    /^os887-tree\.tar\.gz refused: it is of no use without os887-tree\.tar\.gz\.md5, which/m,
  )
  t.match(missing.line, /^nothing was taken: film\.avi: /)
  t.same(await readdir(packed).then((names) => names.filter((name) => name.includes('887'))), [])
})

t.test('a build of which only a part can be read changes nothing of the one that is there', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const packed = join(house.root, 'rsync', 'xobuilds-packed')
  const stick = await newStick(t)
  await packByBuilder(stick.folder, 'os13', { ...of('a'), packing: 'gz', name: '13' })
  await stick.sum()
  await load(house, stick)
  const filesOf = async () => {
    const names = (await readdir(packed)).sort()
    return Promise.all(names.map(async (name) => [name, await readFile(join(packed, name), 'latin1')]))
  }
  const before = await filesOf()

  await packByBuilder(stick.folder, 'os13', {
    ...of('b'),
    packing: 'gz',
    name: '13',
    contents: '{"new": 1}\n',
  })
  await stick.sum()
  await writeFile(join(stick.folder, 'os13.toc'), '{"new": 2}\n')
  t.match(await load(house, stick), {
    line: /^nothing was taken: os13\.tree\.tar\.gz: xs-xobuilds\/os13\.toc has the sum/,
    exit: 65,
  })
  t.same(await filesOf(), before, 'the tree that could be read is not beside the manifest of another')
  t.match((await house.command(['rsync', 'refresh'])).out, /^0 published, 1 as they were/m)
})

t.test(
  'what a crash left of a copy is cleared away, and so is the sum of a tree that is replaced',
  async (t) => {
    if (!has(t)) return
    const house = await openHouse(t)
    const packed = join(house.root, 'rsync', 'xobuilds-packed')
    const left = async (name: string) => {
      await mkdir(join(packed, name))
      await writeFile(join(packed, name, 'os13.tree.tar.gz'), 'half of it')
    }
    await left('.stick-0badcafe-ABCDEF')
    await pack(packed, 'os885', { ...of('a'), name: '885' })
    await house.command(['rsync', 'refresh'])
    t.notOk(
      (await readdir(packed)).some((name) => name.startsWith('.')),
      'by the next refresh',
    )
    await left('.stick-0badcafe-ABCDEF')
    await packByBuilder(packed, 'os13', {
      ...of('a'),
      packing: 'gz',
      name: '13',
      md5: `${'0'.repeat(32)}  -\n`,
    })
    const stick = await newStick(t)
    await packByBuilder(stick.folder, 'os13', { ...of('b'), packing: 'gz', name: '13' })
    await stick.sum()
    t.match(await load(house, stick), { line: '1 build published (13); you can take the stick out', exit: 0 })
    const names = ['os13.name', 'os13.toc', 'os13.tree.tar.gz']
    t.same((await readdir(packed)).filter((name) => !name.startsWith('os885')).sort(), names)
  },
)

t.test('two sticks at a time bring what is on both', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const sticks = [await newStick(t), await newStick(t)]
  for (const [index, stick] of sticks.entries()) {
    await pack(stick.folder, `os${index}`, { ...of('a'), name: `${index}` })
    await pack(stick.folder, 'both', of('b'))
    await stick.sum()
  }
  const loads = await Promise.all(sticks.map((stick) => load(house, stick)))
  t.same(
    loads.map(({ exit }) => exit),
    [0, 0],
  )
  t.same((await served(house)).sort(), ['0', '1', 'both'])
})

t.test('a stick that is nothing for us, or dangerous, is left alone', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const nothing = { path: await temporaryDirectory(t) }
  t.match(await load(house, nothing), { line: /^nothing was taken: there is no directory/, exit: 66 })
  const unsummed = await newStick(t)
  await pack(unsummed.folder, 'os885')
  t.match(await load(house, unsummed), { line: /^nothing was taken: there is no manifest\.sha1/, exit: 66 })
  const linked = await newStick(t)
  await rename(linked.folder, join(linked.path, 'other'))
  await symlink('/etc', linked.folder)
  t.match(await load(house, linked), { line: /^nothing was taken: .*not a directory/, exit: 77 })
  const named = await newStick(t)
  await pack(named.folder, 'os885', { name: '../../etc\n' })
  await named.sum()
  t.match(await load(house, named), {
    line: /^nothing was taken: os885-tree\.tar\.gz: os885\.name says/,
    exit: 65,
  })
  t.same(await readdir(join(house.root, 'rsync', 'xobuilds-packed')), [])
  t.same(await served(house), [])
})

t.test('with security on, a known key must have signed what is on the stick', async (t) => {
  if (!has(t) || !['gpg', 'gpg-agent', 'gpgv'].every((program) => needs(t, program, program))) return
  const home = await temporaryDirectory(t)
  await chmod(home, 0o700)
  const gpg = (...args: string[]): Buffer => {
    const { status, stdout, stderr } = spawnSync('gpg', ['--batch', '--yes', '--quiet', ...args], {
      env: { PATH: process.env.PATH, GNUPGHOME: home, LC_ALL: 'C' },
    })
    if (status !== 0) throw new Error(String(stderr))
    return stdout
  }
  t.teardown(() =>
    spawnSync('gpgconf', ['--kill', 'gpg-agent'], { env: { ...process.env, GNUPGHOME: home } }),
  )
  for (const name of ['school', 'stranger'])
    gpg('--passphrase', '', '--quick-gen-key', `${name}@example.org`, 'ed25519', 'sign', 'never')
  const keys = join(home, 'trusted.gpg')
  await writeFile(keys, gpg('--export', 'school@example.org'), { mode: 0o600 })
  const house = await openHouse(t, { security: 'true', 'security-keys': keys })
  const stick = await newStick(t)
  await pack(stick.folder, 'os885', { ...of('a'), name: '885' })
  await stick.sum()
  const sign = (name: string) =>
    gpg('--local-user', `${name}@example.org`, '--detach-sign', join(stick.folder, 'manifest.sha1'))
  t.match(await load(house, stick), {
    line: /^nothing was taken: security is on, and there is no manifest\.sha1\.sig/,
    exit: 77,
  })
  sign('stranger')
  t.match(await load(house, stick), { line: /^nothing was taken: /, exit: 77 })
  t.same(await served(house), [])
  sign('school')
  const signed = await readFile(join(stick.folder, 'manifest.sha1'))
  await writeFile(join(stick.folder, 'os885.contents'), '{"of": "somebody else"}\n')
  t.match(await load(house, stick), { line: /^nothing was taken: .*os885\.contents has the sum/, exit: 65 })
  await stick.sum()
  t.match(await load(house, stick), { line: /^nothing was taken: /, exit: 77 }, 'a sum that was not signed')
  t.same(await served(house), [])
  await pack(stick.folder, 'os885', { ...of('a'), name: '885' })
  await writeFile(join(stick.folder, 'manifest.sha1'), signed)
  t.match(await load(house, stick), { line: '1 build published (885); you can take the stick out', exit: 0 })
})

t.test('the unit that installs builds of sticks calls a command that there is', async (t) => {
  if (!has(t)) return
  const unit = await readFile(
    join(process.cwd(), 'config', 'systemd', 'sugar-server-usb-builds@.service'),
    'utf8',
  )
  const [, line = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? []
  const words = line.replaceAll('%i', 'sdb1').split(' ')
  t.equal(words[0], '/usr/local/bin/sugar-server')
  const stick = await newStick(t)
  await pack(stick.folder, 'os885', { ...of('a'), name: '885' })
  await stick.sum()
  const root = join(await temporaryDirectory(t), 'root')
  const here = new Map([
    ['/var/lib/sugar-server', root],
    ['/run/sugar-server-usb-builds/sdb1', stick.path],
  ])
  const args = words.slice(1).map((word) => here.get(word) ?? word)
  for (const place of here.values()) t.ok(args.includes(place), 'the unit names it')
  t.match(await cli(t, ['--plugins', 'rsync', ...args]), {
    code: 0,
    out: '1 build published (885); you can take the stick out\n',
  })
})

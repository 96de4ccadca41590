import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { TestReply } from '../../../../core/testing.js'
import { until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { tarOf } from '../../../support/rsync/handmade-tar.js'
import { pack, packByBuilder, smallTree } from '../../../support/rsync/packed-builds.js'
import { openHouse, type RsyncHouse } from '../../../support/rsync/rsync-server.js'

t.setTimeout(300_000)

const packedOf = ({ root }: Pick<RsyncHouse, 'root'>): string => join(root, 'rsync', 'xobuilds-packed')

/** Runs `rsync refresh`. @returns its lines, those about how it goes left out, and its exit code */
async function refresh(
  house: RsyncHouse,
  { name, force }: { name?: string; force?: true } = {},
): Promise<{ lines: string[]; exit: number; reply: TestReply }> {
  const reply = await house.command(['rsync', 'refresh'], {
    args: name === undefined ? {} : { name },
    options: force ? { force: 'true' } : {},
  })
  const lines = `${reply.err}${reply.out}`
    .split('\n')
    .filter((line) => / (published|unchanged|refused|withdrawn)\b/.test(line))
  return { lines: lines.slice(0, -1), exit: reply.ended.exit, reply }
}

/** What is served of each build, by name. */
async function served(house: RsyncHouse): Promise<Record<string, string>> {
  const { out } = await house.rsync('::')
  const names = [...out.matchAll(/^build-(\S+)/gm)].map(([, name = '']) => name)
  const texts = names.map(async (name) => {
    const to = join(house.beside, name, '/')
    await house.rsync('-r', '--delete', `::build-${name}/root/`, to)
    return [name, (await readdir(to)).sort().join(' ')]
  })
  return Object.fromEntries(await Promise.all(texts))
}

const has = (t: Test): boolean => needs(t, 'rsync', 'rsync') && needs(t, 'setfattr', 'attr')

const of = (...names: string[]) => ({ tree: gzipSync(tarOf(...names.map((name) => ({ name })))) })

t.test('both ways to call the files are known, and what is no longer named is withdrawn', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const packed = packedOf(house)
  await pack(packed, 'os885', { ...of('xs'), name: '885' })
  await packByBuilder(packed, 'os13', { ...of('builder'), name: '13.2.0_xo1.75-13', packing: 'gz' })
  await pack(packed, 'unnamed', { ...of('no'), name: null })
  await writeFile(join(packed, 'notes.txt'), 'bought in 2009')
  const first = await refresh(house)
  t.same(first.lines, [
    '13.2.0_xo1.75-13 published: there is no os13.tree.tar.gz.md5, so nobody knows whether it is as it was made',
    '885 published',
  ])
  t.equal(first.exit, 0)
  t.match(first.reply.out, /^2 published, 0 as they were, 0 withdrawn, 0 refused$/m)
  t.same(await served(house), { '13.2.0_xo1.75-13': 'builder', '885': 'xs' })

  t.same((await refresh(house)).lines, ['13.2.0_xo1.75-13 unchanged', '885 unchanged'])
  await rm(join(packed, 'os885.name'))
  t.same((await refresh(house)).lines, [
    '13.2.0_xo1.75-13 unchanged',
    '885 withdrawn: there is no os885.name any more',
  ])
  t.same(await served(house), { '13.2.0_xo1.75-13': 'builder' })

  await rm(join(packed, 'os13.tree.tar.gz'))
  t.same(
    (await refresh(house)).lines,
    ['13.2.0_xo1.75-13 unchanged: its packed tree is not there any more'],
    'who removes what is unpacked already keeps what was published',
  )
  t.same(await served(house), { '13.2.0_xo1.75-13': 'builder' })
})

t.test('a file that has changed is noticed, however it is called and whatever its time', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const packed = packedOf(house)
  const tree = join(packed, '885-tree.tar.gz')
  await pack(packed, '885', of('one'))
  await refresh(house)
  await utimes(tree, 1e9, 1e9)
  t.same((await refresh(house)).lines, ['885 unchanged'], 'another time is no change')
  t.same((await refresh(house)).lines, ['885 unchanged'])

  await pack(packed, '885', of('two'))
  await utimes(tree, 1e9, 1e9)
  t.same((await refresh(house)).lines, ['885 published'])
  t.same(await served(house), { '885': 'two' })

  await writeFile(join(packed, '885.contents'), '{"new": "manifest"}\n')
  t.same((await refresh(house)).lines, ['885 published'], 'another manifest')
  await house.rsync('::build-885/contents', join(house.beside, 'contents'))
  t.equal(await readFile(join(house.beside, 'contents'), 'utf8'), '{"new": "manifest"}\n')

  t.same((await refresh(house, { force: true })).lines, ['885 published'], 'or when it is asked for')
  for (const file of await readdir(packed))
    await rename(join(packed, file), join(packed, file.replace('885', 'eighteen')))
  const again = `${createHash('md5')
    .update(await readFile(join(packed, 'eighteen-tree.tar.gz')))
    .digest('hex')} *-\n`
  await writeFile(join(packed, 'eighteen-tree.tar.gz.md5'), again)
  t.same(
    (await refresh(house)).lines,
    ['885 unchanged'],
    'its files are called otherwise, and it is the same',
  )
  await writeFile(join(packed, 'eighteen.name'), '885.1\r\nand a comment\n')
  t.same((await refresh(house)).lines, ['885.1 published', '885 withdrawn: it is called 885.1 now'])
  t.same(await served(house), { '885.1': 'two' })
})

t.test('what is copied over a build while it is read is not published by half', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const packed = packedOf(house)
  const noise = randomBytes(1 << 24)
  await pack(packed, '885', { tree: gzipSync(tarOf({ name: 'noise', content: noise }), { level: 1 }) })
  const refreshing = refresh(house)
  await until(async () => (await readdir(join(house.root, 'rsync', 'making'))).length > 0, 'it to begin')
  await writeFile(join(packed, '885.contents'), '{"of": "another tree"}\n')
  t.match((await refreshing).lines, [
    /^885 refused: 885-tree.tar.gz or 885.contents was changed while it was read/,
  ])
  t.same(await served(house), {})
  t.same((await refresh(house)).lines, ['885 published'])
})

t.test('one bad build keeps no other from being published, and what was published stays', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const packed = packedOf(house)
  await pack(packed, 'replaced', of('before'))
  await refresh(house)
  await pack(packed, 'replaced', { ...of('after'), md5: `${'0'.repeat(32)}  replaced-tree.tar.gz\n` })
  await pack(packed, 'fine', of('fine'))
  await pack(packed, 'a-sumless', { md5: null })
  await pack(packed, 'b-sum-of-another', { md5: `${'0'.repeat(32)}  another-tree.tar.gz\n` })
  await pack(packed, 'c-contentless', { contents: null })
  await pack(packed, 'd-broken', { tree: smallTree().subarray(0, 60) })
  await pack(packed, 'e-hostile', { tree: gzipSync(tarOf({ name: '/etc/passwd', content: 'x' })) })
  await pack(packed, 'f-hard', {
    tree: gzipSync(tarOf({ name: 'l', type: '1', target: '../../../../etc/passwd' })),
  })
  await pack(packed, 'one', { name: 'twice' })
  await packByBuilder(packed, 'two', { name: 'twice', packing: 'gz' })
  const { lines, exit } = await refresh(house)
  t.equal(exit, 65)
  const starts = [
    /^a-sumless refused: there is no a-sumless-tree\.tar\.gz\.md5, so nobody knows .* md5sum a-sumless-tree/,
    /^b-sum-of-another refused: .* does not say the md5 sum of "b-sum-of-another-tree\.tar\.gz"/,
    /^c-contentless refused: there is no file .*c-contentless\.contents/,
    /^d-broken refused: it cannot be unpacked: gzip: stdin: unexpected end of file/,
    /^e-hostile refused: the path "\/etc\/passwd" is absolute/,
    /^f-hard refused: the path .* leads upwards/,
    /^fine published$/,
    /^replaced refused: .*replaced-tree\.tar\.gz has the md5 sum [0-9a-f]{32}, and should have 0{32}/,
    /^twice refused: one-tree\.tar\.gz and two\.tree\.tar\.gz want to be published under one name/,
  ]
  t.match(lines.sort(), starts)
  t.equal(lines.length, starts.length)
  t.same(await served(house), { fine: 'fine', replaced: 'before' })
  t.same(await readdir(join(house.root, 'rsync', 'pub', 'builds')).then((names) => names.sort()), [
    'fine',
    'replaced',
  ])
})

t.test('a sum that has changed beside a tree that has not is looked at', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const packed = packedOf(house)
  await pack(packed, '885', of('before'))
  t.match((await refresh(house)).lines, ['885 published'])
  const file = join(packed, '885-tree.tar.gz.md5')
  const right = await readFile(file, 'utf8')
  await writeFile(file, right.replace(/^\w{32}/, '0'.repeat(32)))
  t.match(await refresh(house), { exit: 65, lines: [/^885 refused: .* should have 0{32}/] })
  t.same(await served(house), { 885: 'before' })
  await writeFile(file, right)
  t.match(await refresh(house), { exit: 0, lines: ['885 unchanged'] })
})

t.test('no name leads anywhere but to a build of that name', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const packed = packedOf(house)
  const names = [
    '../../etc',
    '/etc',
    '.',
    '..',
    '',
    ' 885',
    '885 ',
    '[module]\npath = /',
    '885]\npath = /\n[x',
    'x\0y',
    '%h',
    '-rf',
    'a/b',
    `${'n'.repeat(65)}`,
    'é',
    '#list',
  ]
  for (const [index, name] of names.entries()) await pack(packed, `os${index}`, { name })
  await pack(packed, 'long', { name: 'x'.repeat(100_000) })
  await pack(packed, 'good', { name: '885\n[module]\npath = /\n' })
  const { lines } = await refresh(house)
  t.equal(lines.filter((line) => /^(os\d+|long) refused: /.test(line)).length, names.length + 1)
  t.same(await readdir(join(house.root, 'rsync', 'pub', 'builds')), ['885'])
  t.match(await readFile(join(house.root, 'rsync', 'rsyncd.conf'), 'utf8'), /^\[build-885\]$/m)
  t.notMatch(await readFile(join(house.root, 'rsync', 'rsyncd.conf'), 'utf8'), /path = \/$/m)
  t.same(Object.keys(await served(house)), ['885'])
})

t.test('one build can be asked for, and what is not there is said', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const packed = packedOf(house)
  await pack(packed, 'a')
  await pack(packed, 'b')
  await pack(packed, 'bad', { name: '../x' })
  t.match(await refresh(house, { name: 'a' }), { lines: ['a published'], exit: 0 })
  t.same(Object.keys(await served(house)), ['a'])
  await pack(packed, 'files-of-d', { name: 'd' })
  await pack(packed, 'unnamed', { name: null })
  t.match(await refresh(house, { name: 'files-of-d' }), { lines: ['d published'] }, 'by its files too')
  t.match((await refresh(house, { name: 'bad' })).lines, [/^bad refused: bad\.name says .*write one name/])
  t.match((await refresh(house, { name: 'unnamed' })).reply.ended, {
    exit: 66,
    message: 'there is no unnamed.name that says how it is to be called',
  })
  t.match((await refresh(house)).reply.err, /^unnamed is passed over: there is no unnamed\.name/m)
  const { reply } = await refresh(house, { name: 'c' })
  t.match(reply.ended, { exit: 66, message: /there is no build c in .*xobuilds-packed/ })
  await rm(packed, { recursive: true })
  t.match((await refresh(house)).reply.ended, { exit: 66, message: /there is no directory/ })
  t.same(
    Object.keys(await served(house)).sort(),
    ['a', 'b', 'd'],
    'a disk that is not mounted withdraws nothing',
  )
})

t.test('a directory with nothing in it is a disk that is not mounted', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const packed = packedOf(house)
  await pack(packed, 'os885', { ...of('a'), name: '885' })
  await refresh(house)
  await rename(packed, join(house.beside, 'unmounted'))
  await mkdir(packed)
  const { lines, exit } = await refresh(house)
  t.match(lines, [
    /^885 refused: .*xobuilds-packed holds nothing at all; .*mount its disk; or, .*rsync withdraw NAME/,
  ])
  t.equal(exit, 65)
  t.same(await served(house), { '885': 'a' })
  await rm(packed, { recursive: true })
  await rename(join(house.beside, 'unmounted'), packed)
  t.same((await refresh(house)).lines, ['885 unchanged'])
})

t.test('parts that are no files are refused, each for its own build', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const packed = packedOf(house)
  for (const stem of ['fifo', 'directory', 'loop', 'gone', 'fine', 'lost'])
    await pack(packed, stem, { ...of(stem), ...(stem !== 'fine' && stem !== 'lost' && { name: null }) })
  await rm(join(packed, 'fine.name'))
  spawnSync('mkfifo', [join(packed, 'fifo.name')])
  await mkdir(join(packed, 'directory.name'))
  await symlink('loop.name', join(packed, 'loop.name'))
  await symlink('nowhere', join(packed, 'gone.name'))
  await writeFile(join(house.beside, 'name'), '\xef\xbb\xbffine\r\n', 'latin1')
  await symlink(join(house.beside, 'name'), join(packed, 'fine.name'))
  await rm(join(packed, 'lost-tree.tar.gz'))
  await symlink('lost-tree.tar.gz', join(packed, 'lost-tree.tar.gz'))
  const { lines } = await refresh(house)
  t.match(lines.sort(), [
    /^directory refused: .*directory\.name is not a file/,
    /^fifo refused: .*fifo\.name is not a file/,
    /^fine published$/,
    /^loop refused: .*loop\.name cannot be read \(ELOOP\)/,
    /^lost refused: .*lost-tree\.tar\.gz cannot be read \(ELOOP\)/,
  ])
  t.same(await served(house), { fine: 'fine' })
})

t.test('a published build that has lost its manifest is published anew', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  await pack(packedOf(house), '885', of('a'))
  await refresh(house)
  await rm(join(house.root, 'rsync', 'pub', 'builds', '885', 'contents'))
  t.same((await refresh(house)).lines, ['885 published'])
})

t.test('several refreshes at once come one after the other', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  await pack(packedOf(house), '885')
  const all = await Promise.all([refresh(house), refresh(house), refresh(house, { force: true })])
  t.same(
    all.map(({ lines }) => lines),
    [['885 published'], ['885 unchanged'], ['885 published']],
  )
  t.match(all[1]?.reply.err, /another refresh is under way; this one comes after it/)
})

t.test('what is there when the server starts is published', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const folder = join(house.beside, 'other')
  await pack(join(folder, 'xobuilds-packed'), '885', of('one'))
  const other = await openHouse(t, { 'rsync-root': folder })
  const isServed = async () => (await other.rsync('::')).out.includes('build-885')
  await until(isServed, 'the build to be served')
  t.same(await served(other), { '885': 'one' })
})

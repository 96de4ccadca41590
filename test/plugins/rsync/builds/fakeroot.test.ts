import { spawnSync } from 'node:child_process'
import { readdir, readFile, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { report } from '../../../../core/report.js'
import { until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { type Entry, tarOf } from '../../../support/rsync/handmade-tar.js'
import { pack, succeed } from '../../../support/rsync/packed-builds.js'
import { reopen } from '../../../support/rsync/reopen-server.js'
import { makeRichTree } from '../../../support/rsync/rich-tree.js'
import { openHouse, type RsyncHouse } from '../../../support/rsync/rsync-server.js'
import { noAttributes, shadow } from '../../../support/shadow-program.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

/** A house that publishes on a disk that knows no attributes; undefined, and the test skipped, where none can be had. */
async function houseWithout(t: Test): Promise<(RsyncHouse & { readonly folder: string }) | undefined> {
  for (const program of ['rsync', 'fakeroot']) if (!needs(t, program, program)) return undefined
  const disk = await temporaryDirectory(t)
  const { status, stderr, error } = spawnSync('mount', ['-t', 'ramfs', '-o', 'mode=700', 'ramfs', disk])
  if (status !== 0) {
    t.pass('needs a mounted ramfs', { skip: `mount: ${error?.message ?? String(stderr).trim()}` })
    return undefined
  }
  t.teardown(() => void spawnSync('umount', ['--lazy', disk]))
  const folder = join(disk, 'rsync')
  return { ...(await openHouse(t, { 'rsync-root': folder })), folder }
}

const refresh = (house: RsyncHouse) => house.command(['rsync', 'refresh'])

t.test('where the disk keeps no attributes, fakeroot keeps the owners', async (t) => {
  const tree = join(await temporaryDirectory(t), 'tree')
  if (!(await makeRichTree(t, tree))) return
  const house = await houseWithout(t)
  if (house === undefined) return
  const tar = join(house.beside, 'tree.tar')
  succeed('tar', ['--numeric-owner', '-C', tree, '-cf', tar, '.'])
  const packed = join(house.folder, 'xobuilds-packed')
  await pack(packed, '885', { tree: gzipSync(await readFile(tar)) })
  await pack(packed, 'small')
  t.match(await refresh(house), { out: /^885 published\nsmall published/, ended: { exit: 0 } })
  const compare = ['-aHn', '--numeric-ids', '--itemize-changes', '--delete']
  for (const module of ['build-885', 'builds/885']) {
    const differing = await house.rsync(...compare, `::${module}/root/`, `${tree}/`)
    t.same(differing, { code: 0, signal: null, out: '', err: '' }, module)
  }
  const pub = join(house.folder, 'pub')
  t.equal(succeed('find', [pub, '-perm', '/7000']), '')
  const links = succeed('find', [pub, '-type', 'l', '-not', '-lname', '/rsyncd-munged/*'])
  t.equal(links, '', 'no link leads anywhere')
  const status = JSON.stringify(await house.house.kernel.hooks.gather(report, {}, undefined))
  t.match(status, /keeps no attributes, so fakeroot keeps the owners/)
  const owners = () => readdir(join(house.folder, 'owners'))
  t.equal((await owners()).length, 3)
  await house.command(['rsync', 'withdraw'], { args: { name: '885' } })
  t.equal((await owners()).length, 2)
})

t.test('what fakeroot knows of a build outlasts a start that does not find it', async (t) => {
  const house = await houseWithout(t)
  if (house === undefined) return
  const settings = { 'rsync-root': house.folder }
  await pack(join(house.folder, 'xobuilds-packed'), '885')
  t.match(await refresh(house), { out: /885 published/ })
  const list = (at: RsyncHouse) => at.rsync('-r', '--list-only', '::build-885/')
  const before = await list(house)
  t.equal(before.code, 0)
  await rm(join(house.folder, 'xobuilds-packed'), { recursive: true })
  const published = join(house.folder, 'pub', 'builds')
  await house.dispose()
  await rename(published, join(house.folder, 'elsewhere'))
  const without = await reopen(t, house, settings)
  t.match(await list(without), { err: /Unknown module/ })
  await without.dispose()
  await rmdir(published)
  await rename(join(house.folder, 'elsewhere'), published)
  const again = await reopen(t, without, settings)
  t.same(await list(again), before)
})

t.test('under fakeroot a client gets every device that a kernel can have', async (t) => {
  const house = await houseWithout(t)
  if (house === undefined) return
  const numbers = [
    [0, 0],
    [259, 70_000],
    [8, 0x7_ffff],
    [8, 0x8_0000],
    [0xfff, 0xf_ffff],
    [256, 256],
  ] as const
  const devices = numbers.map(
    ([major, minor], index): Entry => ({
      ...{ name: `dev/${index}`, type: index % 2 === 0 ? '4' : '3', major, minor },
    }),
  )
  await pack(join(house.folder, 'xobuilds-packed'), '885', { tree: gzipSync(tarOf(...devices)) })
  t.match(await refresh(house), { out: /^885 published/ })
  const to = join(house.beside, 'copy')
  // As a laptop's root, that is, and so it needs one.
  t.match(await house.rsync('-rD', '::build-885/root/', `${to}/`), { code: 0, err: '' })
  const got = succeed('stat', ['-c', '%Hr,%Lr', ...numbers.map((_, index) => `dev/${index}`)], to)
  t.same(got.trim().split('\n'), numbers.map(String))
})

t.test("under fakeroot, too, what is around a tree looks like root's, for all to read", async (t) => {
  const house = await houseWithout(t)
  if (house === undefined) return
  const tree = gzipSync(tarOf({ name: 'etc/passwd', content: 'root', uid: 5, gid: 6 }))
  await pack(join(house.folder, 'xobuilds-packed'), '885', { tree })
  t.match(await refresh(house), { out: /^885 published/ })
  succeed('chown', ['-R', '12:34', join(house.folder, 'pub')])
  for (const [module, top] of [
    ['builds', '885/'],
    ['build-885', ''],
  ] as const) {
    const to = join(house.beside, module)
    t.match(await house.rsync('-a', '--numeric-ids', `::${module}/`, `${to}/`), { code: 0, err: '' })
    const look = succeed('find', ['.', '-printf', '%M %U:%G %P\n'], to).trim().split('\n').sort()
    t.same(
      look,
      [
        'drwxr-xr-x 0:0 ',
        ...(top === '' ? [] : ['drwxr-xr-x 0:0 885']),
        `-rw-r--r-- 0:0 ${top}contents`,
        `drwxr-xr-x 0:0 ${top}root`,
        `drwxr-xr-x 0:0 ${top}root/etc`,
        `-rw-r--r-- 5:6 ${top}root/etc/passwd`,
      ].sort(),
      module,
    )
  }
})

t.test('under fakeroot a link is no tree, and no directory of trees', async (t) => {
  const house = await houseWithout(t)
  if (house === undefined) return
  const packed = join(house.folder, 'xobuilds-packed')
  const tree = (...entries: Entry[]) => ({ tree: gzipSync(tarOf(...entries)) })
  await pack(packed, 'a', tree({ name: 'versions', type: '2', target: 'here' }, { name: 'etc/yes' }))
  await pack(packed, 'b', tree({ name: 'versions/pristine/x', type: '2', target: '/' }, { name: 'etc/no' }))
  const { err, out, ended } = await refresh(house)
  t.match(out, /^a published$/m)
  t.match(err, /^b refused: "versions\/pristine\/x" is not the directory of a tree/m)
  t.equal(ended.exit, 65)
  const to = join(house.beside, 'copy')
  t.match(await house.rsync('-a', '::build-a/root/', `${to}/`), { code: 0 })
  t.equal(succeed('readlink', ['versions'], to).trim(), 'here')
})

t.test('what is left out of a tree says nothing of the files that come after it', async (t) => {
  for (const program of ['rsync', 'fakeroot']) if (!needs(t, program, program)) return
  // On a disk that gives the numbers of files that are gone to new ones.
  await shadow(t, 'setfattr', noAttributes)
  const house = await openHouse(t)
  const folder = join(house.root, 'rsync')
  const packed = join(folder, 'xobuilds-packed')
  const some = (path: string, uid: number): Entry[] =>
    Array.from({ length: 200 }, (_, index) => ({
      name: `${path}/f${index}`,
      uid,
      mode: uid === 0 ? 0o644 : 0o4755,
    }))
  await pack(packed, 'y', { tree: gzipSync(tarOf(...some('versions/pristine/1/d', 0), ...some('d', 77))) })
  await pack(packed, 'z', { tree: gzipSync(tarOf(...some('d', 0), ...some('versions/d', 77))) })
  t.match(await refresh(house), { out: /2 published/ })
  await until(async () => (await readdir(join(folder, 'making'))).length === 0, 'what was left out to go')
  await pack(packed, 'a', { tree: gzipSync(tarOf(...some('d', 0))) })
  t.match(await refresh(house), { out: /1 published/ })
  const copy = join(house.beside, 'copy')
  t.match(await house.rsync('-a', '--numeric-ids', '::builds/', `${copy}/`), { code: 0, err: '' })
  t.equal(succeed('find', [copy, '-type', 'f']).trim().split('\n').length, 3 * 201)
  t.equal(
    succeed('find', [copy, '-perm', '/7000', '-o', '-uid', '77']),
    '',
    'no file has an owner of another',
  )
})

t.test('a file keeps its owner that has another name in what is left out', async (t) => {
  const house = await houseWithout(t)
  if (house === undefined) return
  const linked = (path: string, ...others: string[]): Entry[] => [
    { name: path, uid: 77, mode: 0o4755, content: path },
    ...others.map((name) => ({ name, type: '1', target: path })),
  ]
  const pristine = linked('versions/run/x', 'home/x', 'versions/pristine/1/\xe9', 'versions/pristine/1/in/y')
  const packed = join(house.folder, 'xobuilds-packed')
  await pack(packed, '885', { tree: gzipSync(tarOf(...pristine, ...linked('home/a', 'home/b'))) })
  await pack(packed, '886', { tree: gzipSync(tarOf(...linked('versions/x', 'etc/x'), ...linked('etc/y'))) })
  t.match(await refresh(house), { out: /2 published/ })
  const list = async (name: string) => {
    const { out } = await house.rsync('-r', '--list-only', '-8', `::build-${name}/root/`)
    return out
      .split('\n')
      .flatMap((line) => (/^-/.test(line) ? [`${line.slice(0, 10)} ${line.split(' ').at(-1)}`] : []))
  }
  t.equal((await list('885')).length, 2)
  for (const line of [...(await list('885')), ...(await list('886'))]) t.match(line, /^-rwsr-xr-x /)
  const states = join(house.folder, 'owners')
  const [mine = ''] = (await readdir(states)).filter((name) => name.startsWith('885.'))
  const lines = (await readFile(join(states, mine), 'latin1')).trim().split('\n')
  t.equal(lines.length, 5, 'the tree, a directory in it, one file, and what is around the tree')
})

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { report } from '../../../../core/report.js'
import { until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { directory, type Entry, tarOf } from '../../../support/rsync/handmade-tar.js'
import { contents, pack, packByBuilder, succeed } from '../../../support/rsync/packed-builds.js'
import { makeRichTree } from '../../../support/rsync/rich-tree.js'
import { openHouse, type RsyncHouse } from '../../../support/rsync/rsync-server.js'

t.setTimeout(300_000)

/** Where packed builds are put. */
const packedOf = ({ root }: Pick<RsyncHouse, 'root'>): string => join(root, 'rsync', 'xobuilds-packed')

const refresh = (
  house: RsyncHouse,
  options: Record<string, string> = {},
  args: Record<string, string> = {},
) => house.command(['rsync', 'refresh'], { options, args })

/** What rsync says of itself in `status`. */
const statusOf = async ({ house }: RsyncHouse): Promise<string> =>
  JSON.stringify(await house.kernel.hooks.gather(report, {}, undefined))

const tools: readonly [string, string][] = [
  ['rsync', 'rsync'],
  ['setfattr', 'attr'],
  ['xz', 'xz-utils'],
  ['bzip2', 'bzip2'],
]

const has = (t: Test): boolean => tools.every(([program, debian]) => needs(t, program, debian))

t.test('a tree of anything that a tree can hold is served as GNU tar unpacks it as root', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const tree = join(house.beside, 'tree')
  if (!(await makeRichTree(t, tree))) return
  const formats = { gnu: 'xz', posix: 'bz2' } as const
  for (const [format, packing] of Object.entries(formats)) {
    const tar = join(house.beside, `${format}.tar`)
    succeed('tar', [`--format=${format}`, '--numeric-owner', '-C', tree, '-cf', tar, '.'])
    const unpacked = join(house.beside, format)
    await mkdir(unpacked)
    succeed('tar', ['--numeric-owner', '-C', unpacked, '-xpf', tar])
    const file = spawnSync(packing === 'xz' ? 'xz' : 'bzip2', ['-c', tar], { maxBuffer: 1e9 }).stdout
    await pack(packedOf(house), `os-${format}`, { tree: file, packing })
  }
  const { ended, out, err } = await refresh(house)
  t.equal(err.replace(/.*unpack.*\n/g, ''), '')
  t.same(out.trim().split('\n'), [
    'os-gnu published',
    'os-posix published',
    '2 published, 0 as they were, 0 withdrawn, 0 refused',
  ])
  t.equal(ended.exit, 0)

  for (const format of Object.keys(formats)) {
    const unpacked = join(house.beside, format)
    const compare = ['-aHn', '--numeric-ids', '--itemize-changes', '--delete']
    const differing = await house.rsync(...compare, `::build-os-${format}/root/`, `${unpacked}/`)
    t.same(differing, { code: 0, signal: null, out: '', err: '' }, `${format}: nothing differs`)
    const through = await house.rsync(...compare, `::builds/os-${format}/root/`, `${unpacked}/`)
    t.equal(through.out, '', 'nor through the module of all builds')
    const copy = join(house.beside, `${format}-copy`)
    await house.rsync('-aH', '--numeric-ids', `::build-os-${format}/root/`, `${copy}/`)
    const list = (folder: string) =>
      succeed('find', ['.', '-printf', '%P|%y %m %U:%G %n %Ts %l\n'], folder).split('\n').sort()
    t.same(list(copy), list(unpacked), 'what was copied is the tree to the last bit')
    const devices = (folder: string) => succeed('stat', ['-c', '%t:%T', 'console', 'disk'], folder)
    t.equal(devices(copy), devices(unpacked))
    t.equal(succeed('diff', ['-r', '--no-dereference', join(copy, 'etc'), join(unpacked, 'etc')]), '')
    await house.rsync(`::build-os-${format}/contents`, join(house.beside, 'contents'))
    t.equal(await readFile(join(house.beside, 'contents'), 'utf8'), contents)
  }
  const odd = succeed('find', [
    join(house.root, 'rsync', 'pub', 'builds'),
    '-perm',
    '/7000',
    '-o',
    '-type',
    'l',
  ])
  t.equal(odd, '', 'nothing on the disk is setuid, setgid, sticky or a link')
  t.equal(succeed('find', [join(house.root, 'rsync', 'pub'), '-not', '-type', 'd', '-not', '-type', 'f']), '')
})

t.test("what is around a tree looks like root's, for all to read, though no tar says so", async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  // No entry for the top, and none for the directory.
  const tree = gzipSync(tarOf({ name: 'etc/passwd', content: 'root' }))
  await pack(packedOf(house), 'os885', { tree, packing: 'gz', name: '\ufeff885' })
  t.match((await refresh(house)).out, /^885 published$/m)
  const { out } = await house.rsync('-r', '--list-only', '--no-human-readable', '::builds/')
  const look = out.split('\n').flatMap((line) => {
    const [mode, , , , ...path] = line.split(/\s+/)
    return path.length === 0 ? [] : [`${mode} ${path.join(' ')}`]
  })
  t.same(look, [
    'drwxr-xr-x .',
    'drwxr-xr-x 885',
    '-rw-r--r-- 885/contents',
    'drwxr-xr-x 885/root',
    'drwxr-xr-x 885/root/etc',
    '-rw-r--r-- 885/root/etc/passwd',
  ])
})

t.test('a tree of trees is one of them, and what laptops keep beside it is left out', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const tree = (...entries: Entry[]) => ({ tree: gzipSync(tarOf(...entries)) })
  const packed = packedOf(house)
  const old = { mode: 0o750, uid: 7, seconds: 1_111_111_111 }
  await pack(
    packed,
    'several',
    tree(
      directory('versions/pristine/b', old),
      { name: 'versions/pristine/b/etc/no' },
      directory('versions/pristine/a', old),
      { name: 'versions/pristine/a/etc/yes', uid: 5 },
      { name: 'versions/pristine/a/etc/too', type: '1', target: 'versions/pristine/a/etc/yes' },
      { name: 'home/no' },
    ),
  )
  await pack(packed, 'beside', tree(directory('./', old), { name: 'versions/run/1/no' }, { name: 'etc/yes' }))
  await pack(packed, 'empty', tree(directory('versions/pristine/'), { name: 'etc/yes' }))
  await pack(
    packed,
    'wrong',
    tree({ name: 'versions/pristine/885', type: '2', target: '/' }, { name: 'etc/no' }),
  )
  await pack(packed, 'link', tree({ name: 'versions', type: '2', target: 'here' }, { name: 'etc/yes' }))
  const { out, err, ended } = await refresh(house)
  t.match(out, /4 published, .* 1 refused/)
  t.match(err, /wrong refused: "versions\/pristine\/885" is not the directory of a tree/)
  t.equal(ended.exit, 65)
  const list = async (name: string) => {
    const { out } = await house.rsync('-r', '--no-h', '--list-only', `::build-${name}/root/`)
    return out
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [line.split(/ +/).slice(4).join(' ')]))
      .sort()
  }
  t.same(await list('several'), ['.', 'etc', 'etc/too', 'etc/yes'])
  t.same(await list('beside'), ['.', 'etc', 'etc/yes'])
  t.same(await list('empty'), ['.', 'etc', 'etc/yes'])
  t.same(await list('link'), ['.', 'etc', 'etc/yes', 'versions'])
  for (const name of ['several', 'beside']) {
    const { out } = await house.rsync('-r', '--list-only', `::build-${name}/root/`)
    t.match(out, /^drwxr-x--- +[\d,]+ 2005\/03\/1\d \S+ \.$/m, 'the top is as it was packed')
  }
  const { out: rows } = await house.command(['rsync', 'list'], { json: true })
  t.match(rows, /several/)
})

t.test('a build is read to its end, whether it is replaced or removed meanwhile', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const noise = randomBytes(3_000_000)
  const tree = (text: string) => {
    return gzipSync(tarOf({ name: 'a/big', content: noise }, { name: 'b/c/last', content: text }))
  }
  await pack(packedOf(house), '885', { tree: tree('first') })
  t.match(await refresh(house), { ended: { exit: 0 } })
  const making = join(house.root, 'rsync', 'making')
  for (const [change, text] of [
    ['replace', 'first'],
    ['remove', 'other'],
  ] as const) {
    const to = join(house.beside, change)
    const pulling = house.rsync('-a', '--inplace', '--bwlimit=1500', '::build-885/root/', `${to}/`)
    await until(
      () => (statSync(join(to, 'a/big'), { throwIfNoEntry: false })?.size ?? 0) > 0,
      'the first bytes',
    )
    if (change === 'remove')
      t.match(await house.command(['rsync', 'withdraw'], { args: { name: '885' } }), { ended: { exit: 0 } })
    else {
      await pack(packedOf(house), '885', { tree: tree('other') })
      t.match(await refresh(house), { out: /885 published/ })
    }
    t.equal((await readdir(making)).length, 1, 'what is read stays')
    t.same(await pulling, { code: 0, signal: null, out: '', err: '' }, change)
    t.ok(noise.equals(await readFile(join(to, 'a/big'))))
    t.equal(
      await readFile(join(to, 'b/c/last'), 'utf8'),
      text,
      'no laptop gets some of one and some of another',
    )
    await until(async () => (await readdir(making)).length === 0, 'the old one to go')
  }
  t.equal((await house.rsync('::build-885/')).code, 5)
  t.notOk(existsSync(join(house.root, 'rsync', 'pub', 'builds', '885')))
})

t.test('what is left from before is cleared away, and what is not there is not served', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const folder = join(house.root, 'rsync')
  await packByBuilder(packedOf(house), 'os885', {
    tree: gzipSync(tarOf({ name: 'a' })),
    packing: 'gz',
    name: '885',
  })
  await pack(packedOf(house), '886')
  t.match(await refresh(house), { out: /2 published/ })
  await house.dispose()
  await mkdir(join(folder, 'making', 'scratch-x', 'tree', 'bin'), { recursive: true })
  await chmod(join(folder, 'making', 'scratch-x', 'tree'), 0o500)
  await mkdir(join(folder, 'making', 'draft-x', 'build'), { recursive: true })
  await writeFile(join(folder, 'making', 'draft-x', 'build.json'), '{"name": "../../x"}')
  await rename(join(folder, 'pub', 'builds', '885'), join(house.beside, 'gone'))
  await mkdir(join(folder, 'pub', 'builds', 'stray'))

  const again = await openHouse(t, { 'rsync-root': folder })
  t.match((await again.rsync('::')).out, /builds/)
  t.notMatch((await again.rsync('::')).out, /build-885/)
  t.match(await statusOf(again), /stray is none of the builds that this server published/)
  await until(async () => (await readdir(join(folder, 'making'))).length === 0, 'the leftovers to go')
  t.ok((await stat(join(house.beside, 'gone', 'contents'))).isFile())
})

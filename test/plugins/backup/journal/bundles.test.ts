import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { writeXob } from '../../../../plugins/backup/journal/xob.js'
import { writeXoj } from '../../../../plugins/backup/journal/xoj.js'
import type { Tree } from '../../../../plugins/backup/tree.js'
import { chat, drawing, filesOf, png, putDatastore, python, song } from '../../../support/backup/datastore.js'
import { treeOf, treeOfFiles, treeOfFolder } from '../../../support/backup/memory-tree.js'
import { needs } from '../../../support/needs.js'

const folder = mkdtempSync(join(tmpdir(), 'sugar-bundles-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const datastore = join(folder, 'laptop/datastore')
putDatastore(datastore)

async function save(stream: Readable, name: string): Promise<string> {
  const file = join(folder, name)
  await pipeline(stream, createWriteStream(file))
  return file
}

/** What jarabe's JournalEntryBundle does: the directory of the first member, its metadata, preview and data. */
const reader = `
import base64, json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
names = archive.namelist()
root = names[0].split('/')[0]
assert not root.startswith('.') and all(name.startswith(root + '/') for name in names), names
read = lambda name: base64.b64encode(archive.read(name)).decode() if name in names else None
text = archive.read(root + '/_metadata.json').decode('ascii')
print(json.dumps({'root': root, 'names': sorted(names), 'metadata': json.loads(text),
  'preview': read(root + '/preview/' + root), 'data': read(root + '/' + root)}))
`

interface Bundle {
  root: string
  names: string[]
  metadata: Record<string, unknown>
  preview: string | null
  data: string | null
}

t.test('one entry is a bundle that Sugar can install', async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const tree = treeOfFolder(join(folder, 'laptop'))
  const whole = python<Bundle>(reader, await save(writeXoj(tree, song.uid), 'song.xoj'))
  const { preview, ...texts } = song.metadata
  t.strictSame(whole, {
    root: song.uid,
    names: [
      `${song.uid}/${song.uid}`,
      `${song.uid}/_metadata.json`,
      `${song.uid}/preview/${song.uid}`,
    ].sort(),
    metadata: { uid: song.uid, ...texts },
    preview: (preview as Buffer).toString('base64'),
    data: Buffer.from('Había una vez').toString('base64'),
  })

  const large = python<Bundle>(reader, await save(writeXoj(tree, drawing.uid), 'drawing.xoj'))
  t.equal(large.metadata.title, 'Dibujo \ufffd\ufffd', 'what is no UTF-8 is replaced')
  t.equal(large.data, (drawing.data as Buffer).toString('base64'))
  t.equal(large.preview, png.toString('base64'), 'the preview is the picture itself')

  const empty = python<Bundle>(reader, await save(writeXoj(tree, chat.uid), 'chat.xoj'))
  t.strictSame(
    empty.names,
    [`${chat.uid}/_metadata.json`, `${chat.uid}/preview/${chat.uid}`],
    'an entry without data has no data, and is there; Sugar 0.118 and later fail without a preview',
  )
  t.equal(empty.preview, '')
  t.strictSame(empty.metadata, { uid: chat.uid, ...chat.metadata }, '"0" and "" are values')
})

t.test('values that Sugar could not take do not spoil a bundle', async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const metadata = { title: 'a\0b', clé: 'été 🎈', preview: 'no picture', ['__proto__']: 'x' }
  const tree = treeOfFiles(filesOf({ uid: song.uid, data: '', metadata }))
  const bundle = python<Bundle>(reader, await save(writeXoj(tree, song.uid), 'odd.xoj'))
  t.strictSame(
    Object.entries(bundle.metadata).sort(),
    [
      ['__proto__', 'x'],
      ['clé', 'été 🎈'],
      ['title', 'a\ufffdb'],
      ['uid', song.uid],
    ].sort(),
  )
  t.equal(bundle.preview, '')
  t.equal(bundle.data, '', 'empty data are data')
  t.throws(() => writeXoj(tree, chat.uid), { code: 'NOT_FOUND' })
})

t.test('unzip, which Sugar runs, takes a bundle', async (t) => {
  if (!needs(t, 'unzip', 'unzip')) return
  const file = await save(writeXoj(treeOfFolder(datastore), song.uid), 'unzip.xoj')
  execFileSync('unzip', ['-o', file, '-x', 'mimetype', '-d', join(folder, 'unzipped')], { stdio: 'ignore' })
  t.equal(statSync(join(folder, 'unzipped', song.uid, song.uid)).size, 14)
})

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** What must be the same on both sides: names, kinds, modes, whole seconds, contents. */
function factsOf(tree: Tree): Record<string, unknown> {
  const facts: Record<string, unknown> = {}
  for (const row of tree.rows()) {
    if (row.type === 'link') continue
    const content = row.type === 'file' ? sha256(tree.read(row, 1 << 20)) : ''
    facts[row.path] = [row.type, row.mode & 0o777, row.seconds, content]
  }
  return facts
}

const sorted = (facts: Record<string, unknown>) => Object.entries(facts).sort(([a], [b]) => (a < b ? -1 : 1))

const home = 'home/olpc/.sugar/default/datastore'

/** Every member as Python's tarfile sees it; names as latin1. */
const lister = `
import hashlib, json, os, sys, tarfile
facts = {}
archive = tarfile.open(sys.argv[1], 'r:gz')
for member in archive:
    name = os.fsencode(member.name).decode('latin1')
    assert name == sys.argv[2] or name.startswith(sys.argv[2] + '/'), name
    kind = 'directory' if member.isdir() else 'file' if member.isreg() else member.type
    content = hashlib.sha256(archive.extractfile(member).read()).hexdigest() if member.isreg() else ''
    facts[name[len(sys.argv[2]) + 1:]] = [kind, member.mode, member.mtime, content]
print(json.dumps(facts))
`

t.test('a whole Journal is an archive that Python and GNU tar unpack to the last byte', async (t) => {
  if (!needs(t, 'python3', 'python3') || !needs(t, 'tar', 'tar')) return
  const wanted = factsOf(treeOfFolder(datastore))
  for (const [name, tree] of [
    ['folder.xob', treeOfFolder(join(folder, 'laptop'))],
    ['content.xob', treeOfFolder(datastore)],
  ] as const) {
    const file = await save(writeXob(tree), name)
    t.strictSame(sorted(python(lister, file, home)), sorted(wanted), 'for Python')
    const unpacked = join(folder, `${name}.unpacked`)
    mkdirSync(unpacked)
    execFileSync('tar', ['-xzpf', file, '--warning=no-timestamp', '-C', unpacked])
    t.strictSame(factsOf(treeOfFolder(join(unpacked, home))), wanted, 'for GNU tar')
  }
})

t.test('an archive can be unpacked by its owner, and has strange times and no setuid', async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const common = { nanos: 0, mode: 0o7555 }
  const tree = treeOf([
    { type: 'directory', path: '', ...common, seconds: -1 },
    { type: 'directory', path: 'store', ...common, mode: 0o2050, seconds: 0 },
    { type: 'file', path: 'store/a', ...common, seconds: 2 ** 33, size: 512, content: Buffer.alloc(512, 1) },
    { type: 'file', path: 'version', ...common, seconds: 2 ** 32, size: 0, content: Buffer.alloc(0) },
  ])
  const facts = python<Record<string, unknown>>(
    lister,
    await save(writeXob(tree, { home: '/ds' }), 'odd.xob'),
    'ds/.sugar/default/datastore',
  )
  t.strictSame(facts, {
    '': ['directory', 0o755, -1, ''],
    store: ['directory', 0o750, 0, ''],
    'store/a': ['file', 0o555, 2 ** 33, sha256(Buffer.alloc(512, 1))],
    version: ['file', 0o555, 2 ** 32, sha256(Buffer.alloc(0))],
  })
})

t.test('damage makes a bundle fail, and never a short one', async (t) => {
  const path = `${drawing.uid.slice(0, 2)}/${drawing.uid}/data`
  const files = { ...filesOf(drawing), ...filesOf(song) }
  const damaged = treeOfFiles(files, [path])
  await t.rejects(save(writeXob(damaged), 'damaged.xob'), { code: 'DAMAGED' })
  await t.rejects(save(writeXoj(damaged, drawing.uid), 'damaged.xoj'), { code: 'DAMAGED' })
  await t.resolves(save(writeXoj(damaged, song.uid), 'other.xoj'), 'other entries are unaffected')

  for (const change of [-1, 1]) {
    const tree = treeOfFiles(files)
    const rows = [...tree.rows()].map((row) =>
      row.type === 'file' && row.path === path ? { ...row, size: row.size + change } : row,
    )
    await t.rejects(save(writeXob({ ...tree, rows: () => rows }), 'long.xob'), { code: 'DAMAGED' })
    await t.rejects(save(writeXoj({ ...tree, rows: () => rows }, drawing.uid), 'long.xoj'), Error)
  }
  for (const evil of ['../evil', 'a/../../evil', '/etc/evil', 'a//b', 'nul\0']) {
    const tree = treeOf([
      { type: 'file', path: evil, mode: 0o644, seconds: 0, nanos: 0, size: 0, content: png },
    ])
    await t.rejects(save(writeXob(tree), 'evil.xob'), { code: 'DAMAGED' })
  }
})

t.test('nothing is read ahead of a slow reader, and nothing stays open when it leaves', async (t) => {
  let read = 0
  let closed = 0
  const size = 64 << 20
  const tree: Tree = {
    ...treeOfFiles({ version: '6' }),
    rows: () => [
      { type: 'directory', path: song.uid.slice(0, 2), mode: 0o755, seconds: 0, nanos: 0 },
      {
        type: 'file',
        path: `${song.uid.slice(0, 2)}/${song.uid}/data`,
        mode: 0o644,
        seconds: 0,
        nanos: 0,
        size,
        content: '',
      },
    ],
    async *pieces() {
      try {
        for (; read < size; read += 1 << 16) yield randomBytes(1 << 16)
      } finally {
        closed += 1
      }
    },
  }
  for (const open of [() => writeXob(tree), () => writeXoj(tree, song.uid)]) {
    read = 0
    closed = 0
    const stream = open()
    stream.once('readable', () => stream.read(1))
    await once(stream, 'readable')
    await setTimeout(100)
    t.ok(read < 4 << 20, `${read} bytes were read for one`)
    stream.destroy()
    while (closed === 0) await setTimeout(5)
    t.equal(closed, 1)
  }
})

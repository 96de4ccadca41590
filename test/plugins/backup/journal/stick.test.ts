import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { fileNameOf } from '../../../../plugins/backup/journal/file-name.js'
import { chat, drawing, filesOf, png, song, uidOf } from '../../../support/backup/datastore.js'
import { treeOfFiles } from '../../../support/backup/memory-tree.js'
import { restore } from '../../../support/backup/test-archive.js'
import { runs } from '../../../support/rounds.js'

function newStick(t: Test): string {
  const stick = mkdtempSync(join(tmpdir(), 'sugar-stick-'))
  t.teardown(() => rmSync(stick, { recursive: true, force: true }))
  return stick
}

const journal = { ...filesOf(song), ...filesOf(chat), ...filesOf(drawing), version: '6' }
const metadataOf = (stick: string, name: string) =>
  JSON.parse(readFileSync(join(stick, '.Sugar-Metadata', `${name}.metadata`), 'latin1'))

t.test('a Journal lies on a stick as every Sugar since 0.88 reads it', async (t) => {
  const to = newStick(t)
  const { stick, lost } = await restore(treeOfFiles(journal), { to, form: 'stick' })
  t.same(lost, [])
  const drawn = 'Dibujo \ufffd\ufffd.png'
  t.same([...(stick?.names ?? [])].sort(), ['0', drawn, 'Mi canción.txt'].sort())
  t.equal(stick?.empty, 1, 'a chat has no content; Sugar needs a file all the same')
  t.equal(readFileSync(join(to, 'Mi canción.txt'), 'utf8'), song.data)
  t.equal(statSync(join(to, 'Mi canción.txt')).mtimeMs, 1_700_000_300_000, 'Sugar sorts by this')
  t.equal(statSync(join(to, '0')).size, 0)
  t.equal(statSync(join(to, drawn)).size, 200_000)

  const { preview, ...texts } = song.metadata
  t.same(metadataOf(to, 'Mi canción.txt'), { activity_id: '', 'icon-color': '#000000,#ffffff', ...texts })
  const given = metadataOf(to, '0')
  for (const key of ['uid', 'filesize', 'preview']) t.notOk(key in given, key)
  const pictures = readdirSync(join(to, '.Sugar-Metadata')).filter((name) => name.endsWith('.preview'))
  t.same(pictures.sort(), [`${drawn}.preview`, 'Mi canción.txt.preview'].sort())
  for (const name of pictures)
    t.ok(readFileSync(join(to, '.Sugar-Metadata', name)).equals(png), 'the base64 of old Sugars is decoded')
})

t.test('one entry, or several, and one that is not there', async (t) => {
  const to = newStick(t)
  const tree = treeOfFiles(journal)
  t.same((await restore(tree, { to, form: 'stick', entry: song.uid })).stick?.names, ['Mi canción.txt'])
  t.same(readdirSync(to).sort(), ['.Sugar-Metadata', 'Mi canción.txt'])
  await t.rejects(restore(tree, { to, form: 'stick', entry: uidOf(99) }), { code: 'NOT_FOUND' })
})

t.test('entries of one title get names that differ without regard to case', async (t) => {
  const to = newStick(t)
  const titles = ['Dibujo', 'dibujo', 'DIBUJO', 'Dibujo']
  const files = titles.map((title, at) => filesOf({ uid: uidOf(at), data: `${at}`, metadata: { title } }))
  await restore(treeOfFiles(Object.assign({}, ...files)), { to, form: 'stick' })
  const names = readdirSync(to).filter((name) => !name.startsWith('.'))
  t.equal(new Set(names.map((name) => name.toLowerCase())).size, 4)
  for (const name of names) t.equal(metadataOf(to, name).title, titles[Number(readFileSync(join(to, name)))])
})

t.test('a damaged content costs its entry, a damaged property that property; both are named', async (t) => {
  const to = newStick(t)
  const data = `${drawing.uid.slice(0, 2)}/${drawing.uid}/data`
  const tags = `${song.uid.slice(0, 2)}/${song.uid}/metadata/tags`
  const tree = treeOfFiles(journal, [data, tags])
  // What is kept in objects is read for damage before; in this tree everything stands in its row.
  const rows = [...tree.rows()].map((row) =>
    row.type === 'file' && row.path === data ? { ...row, content: 'a'.repeat(64) } : row,
  )
  const odd = {
    ...tree,
    rows: () => rows,
    async *pieces(row: Parameters<typeof tree.pieces>[0]) {
      yield* tree.pieces(row.content === 'a'.repeat(64) ? { ...row, content: Buffer.alloc(row.size) } : row)
    },
  }
  const { lost, stick } = await restore(odd, { to, form: 'stick' })
  t.same([...lost].sort(), [data, `${song.uid} tags`].sort())
  t.same([...(stick?.names ?? [])].sort(), ['0', 'Mi canción.txt'])
  t.notOk('tags' in metadataOf(to, 'Mi canción.txt'))
})

t.test('titles of any bytes become names that FAT, ext4 and Windows take', async (t) => {
  const cases: [title: string, mime: string, name: string][] = [
    ['Mi casa: ¿grande?', 'text/plain', 'Mi casa_ ¿grande_.txt'],
    ['a/b\\c*d"e<f>g|h', '', 'a_b_c_d_e_f_g_h'],
    ['notes.txt', 'text/plain', 'notes.txt'],
    ['v1.2', 'image/png', 'v1.2.png'],
    ['...', 'image/png', 'entry aa111111.png'],
    ['.hidden', '', 'hidden'],
    ['ends in dots. . .', '', 'ends in dots'],
    ['CON', '', '_CON'],
    ['aux', 'text/plain', '_aux.txt'],
    ['com1.old', '', '_com1.old'],
    ['contact', '', 'contact'],
    ['globo 🎈', '', 'globo _'],
    ['line\nbreak\0', '', 'line_break_'],
    ['txt\u202eexe', '', 'txtexe'],
    ['..', '', 'entry aa111111'],
  ]
  for (const [title, mime, name] of cases)
    t.equal(fileNameOf({ title, mime, uid: 'aa111111-1' }), name, title)
  const mimes = fc.constantFrom('', 'text/plain', 'image/png', '__proto__', 'x/y')
  const text = fc.oneof(
    fc.string({ maxLength: 400, unit: 'binary' }),
    fc.stringMatching(/^[ .:?/\\\0\nCONaux1-9ñ🎈ក]{0,300}$/u),
  )
  fc.assert(
    fc.property(text, mimes, (title, mime) => {
      const name = fileNameOf({ title, mime, uid: 'aa111111-1' })
      return (
        name !== '' &&
        Buffer.byteLength(name) <= 200 &&
        !/[\\/:*?"<>|\u0000-\u001f\u007f]/.test(name) &&
        !/^[. ]|[. ]$/.test(name) &&
        !/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(name) &&
        name.isWellFormed() &&
        !/[\u{10000}-\u{10ffff}]/u.test(name)
      )
    }),
    runs(2000),
  )
})

t.test('a stick that is not there is told before anything is read', async (t) => {
  const to = join(newStick(t), 'nowhere')
  await t.rejects(restore(treeOfFiles(journal), { to, form: 'stick' }), { code: 'NOT_WRITABLE' })
  mkdirSync(to)
  await t.resolves(restore(treeOfFiles(journal), { to, form: 'stick' }))
})

import fc from 'fast-check'
import t from 'tap'
import { RequestError } from '../../../../core/api.js'
import { checkModule } from '../../../../plugins/rsync/modules/check.js'
import { connectionConfig, idleSeconds, systemConfig } from '../../../../plugins/rsync/modules/stanza.js'
import type { Module } from '../../../../plugins/rsync/public.js'
import { runs } from '../../../support/rounds.js'

const plain: Module = { name: 'films', path: '/srv/films', comment: '', owners: 'files' }

/** What rsyncd.conf(5) makes of a text: a line a value, blanks around it gone, `\` at the end goes on. */
function read(text: string): { sections: string[]; values: Map<string, string> } {
  const sections: string[] = []
  const values = new Map<string, string>()
  for (const line of text.replaceAll('\\\n', '').split(/[\n\r\v\f]/)) {
    const words = line.trim()
    if (words === '' || /^[#;]/.test(words)) continue
    const section = /^\[(.*)\]$/.exec(words)?.[1]
    if (section !== undefined) sections.push(section)
    else {
      const [name = '', ...value] = words.split('=')
      const expanded = value.join('=').trim().replace(/%\w+%/g, 'EXPANDED')
      values.set(`${sections.at(-1) ?? ''}/${name.trim()}`, expanded)
    }
  }
  return { sections, values }
}

const isAccepted = (module: Module): boolean => {
  try {
    checkModule(module)
    return true
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    return false
  }
}

const nasty = fc.constantFrom(
  ...[
    '\n',
    '\r',
    '\\',
    '\\\n',
    '%',
    '%HOME%',
    '[x]',
    '=',
    '#',
    ';',
    ' ',
    '\t',
    '/',
    '..',
    '.',
    '\u2028',
    '\0',
    '\u0085',
  ],
  ...['path = /', 'uid = 0', 'a', 'ñ', '\u001b'],
)
const words = fc.array(nasty, { maxLength: 8 }).map((pieces) => pieces.join(''))

t.test('what a module is called says nothing else in an rsyncd.conf than it says here', async (t) => {
  let accepted = 0
  fc.assert(
    fc.property(
      fc.oneof(fc.constant('films'), words),
      words.map((path) => `/srv${path}`),
      words,
      (name, path, comment) => {
        const module: Module = { name, path, comment, owners: 'attributes' }
        if (!isAccepted(module)) return
        accepted += 1
        for (const text of [systemConfig([module]), connectionConfig([module], false)]) {
          const { sections, values } = read(text)
          t.matchOnly(sections, [name])
          t.equal(values.get(`${name}/path`), path)
          t.equal(values.get(`${name}/fake super`), 'yes')
          t.equal(values.get(`${name}/comment`) ?? (text.includes('max connections') ? '' : comment), comment)
        }
      },
    ),
    runs(5000),
  )
  t.ok(accepted > runs(5000).numRuns / 100, `${accepted} were accepted`)
})

t.test('names and values that could begin a line of their own are refused', async (t) => {
  t.ok(isAccepted(plain))
  for (const name of [
    '',
    '.',
    '..',
    '.hidden',
    '-x',
    'a/b',
    'a b',
    'films]\npath = /',
    'x'.repeat(71),
    'ñ',
    'a\n',
    'global',
    'Global',
  ]) {
    t.notOk(isAccepted({ ...plain, name }), JSON.stringify(name))
  }
  for (const path of [
    '',
    'srv',
    '/srv/',
    '/srv/../etc',
    '/srv/./x',
    '//srv',
    '/a\nuid = 0',
    '/a%HOME%',
    '/a\\',
    '/a ',
  ]) {
    t.notOk(isAccepted({ ...plain, path }), JSON.stringify(path))
    t.notOk(isAccepted({ ...plain, owners: { fakeroot: path } }), JSON.stringify(path))
  }
  for (const comment of ['a\nb', ' a', 'a ', 'a\\', '%x%', 'x'.repeat(201), '\u001b[2J']) {
    t.notOk(isAccepted({ ...plain, comment }), JSON.stringify(comment))
  }
})

t.test('an rsync that the server no longer sees to ends by itself', async (t) => {
  t.match(connectionConfig([plain], false).split('[films]')[0], `timeout = ${idleSeconds}\n`)
})

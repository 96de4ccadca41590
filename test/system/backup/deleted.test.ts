import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  openSchool,
  pull,
  push,
  quiet,
  remote,
  rsync,
} from '../../support/backup/backup-school.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const turtle = 'cd111111-1111-4111-8111-111111111111'
const whale = 'ef222222-2222-4222-8222-222222222222'

function entry({ datastore }: Learner, uid: string, title: string): void {
  const folder = join(datastore, uid.slice(0, 2), uid)
  const files = {
    'metadata/uid': uid,
    'metadata/title': title,
    'metadata/mime_type': 'text/plain',
    data: title,
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
}

const remove = ({ datastore }: Learner, uid: string) =>
  rmSync(join(datastore, uid.slice(0, 2), uid), { recursive: true })

t.test(
  'a child wants back what it deleted, and knows the title; a laptop sees what it can fetch',
  async (t) => {
    if (!canBackUp(t)) return
    const school = await openSchool(t)
    const ana = await enrolLearner(t, school, { entries: 6 })
    const ben = await enrolLearner(t, school, { entries: 2 })
    const sent = async (learner: Learner) => {
      t.equal((await push(learner)).code, 0)
      await quiet(school)
    }
    entry(ana, turtle, 'Mi casa de tortuga')
    entry(ana, whale, 'La ballena')
    await sent(ana)
    remove(ana, turtle)
    await sent(ana)
    remove(ana, whale)
    await sent(ana)
    await sent(ben)
    const [first = '', second = '', newest = ''] = (await school.snapshots(ana.uid)).map(({ id }) => id)

    const found = await school.say('entries', ana.serial, '--search', 'TORTUGA')
    t.match(found.out, new RegExp(`^UID .* LAST IN\\n${turtle} +Mi casa de tortuga .* ${first}\\n$`))
    t.match(found.err, /not in the Journal any more: "backup restore .* --entry UID/)
    const json = await school.say('entries', ana.serial, '--search', 'ballena', '--json')
    t.match(JSON.parse(json.out), [{ uid: whale, snapshot: second }])
    const at = await school.say('entries', ana.serial, '--search', 'tortuga', '--at', 'latest')
    t.notMatch(at.out, turtle, 'with --at, that snapshot alone')

    const place = await temporaryDirectory(t)
    const one = await school.say('restore', ana.serial, '--entry', turtle, '--to', join(place, 'one'))
    t.match(one, {
      code: 0,
      out: new RegExp(`of snapshot ${first}`),
      err: new RegExp(`last in snapshot ${first}`),
    })
    t.equal(readFileSync(join(place, 'one/cd', turtle, 'data'), 'utf8'), 'Mi casa de tortuga')
    const stick = join(place, 'stick')
    mkdirSync(stick)
    const both = ['--entry', turtle, '--entry', whale, '--form', 'stick', '--to', stick]
    const given = await school.say('restore', ana.serial, ...both)
    t.match(given, { code: 0, err: /everybody who has the stick can read these files/ })
    t.match(given.out, new RegExp(`1 entry, .* of snapshot ${first}[^]*1 entry, .* of snapshot ${second}`))
    t.same(readdirSync(stick).sort(), ['.Sugar-Metadata', 'La ballena.txt', 'Mi casa de tortuga.txt'])
    const again = await school.say('restore', ana.serial, '--form', 'stick', '--to', stick, '--entry', whale)
    t.match(again, { code: 0, err: /La ballena\.txt is on the stick already.* La ballena 2\.txt/ })
    t.match(await school.say('restore', ana.serial, '--form', 'stick', '--to', stick), {
      out: /6 entries/,
    })

    const wrong: [words: string[], code: number, message: RegExp][] = [
      [
        ['--entry', turtle, '--entry', whale, '--to', join(place, 'x')],
        65,
        /different snapshots.*\n.*--form stick/,
      ],
      [
        ['--entry', 'none', '--form', 'stick', '--to', stick],
        66,
        /no entry none in any snapshot.*\n.*--search/,
      ],
      [
        ['--entry', turtle, '--at', newest, '--form', 'stick', '--to', stick],
        66,
        /no entry .* in this snapshot/,
      ],
      [
        ['--form', 'stick', '--to', join(place, 'nowhere')],
        69,
        /is not a directory.*\n.*where the stick is mounted/,
      ],
      [['--documents', '--form', 'stick', '--to', stick], 64, /--documents alone/],
      [['--home', '/home/pepe', '--to', join(place, 'x')], 64, /--home is for a \.xob file/],
    ]
    for (const home of [
      'pepe',
      'home/pepe',
      '/home/../root',
      '/',
      '/home/pe pe',
      '/home//pepe',
      '/home/.x',
      '/h\u00f1',
    ])
      wrong.push([['--home', home, '--to', join(place, 'x.xob')], 64, /--home must be an absolute path/])
    for (const [words, code, message] of wrong)
      t.match(await school.say('restore', ana.serial, ...words), { code, err: message }, words.join(' '))

    const bundle = join(place, 'pepe.xob')
    const whole = await school.say('restore', ana.serial, '--home', '/home/pepe', '--to', bundle)
    t.match(
      whole.err,
      /has the home \/home\/pepe.*0\.116 and later.*--form stick/s,
      'said before it is carried',
    )
    const tar = spawnSync('tar', ['-tzf', bundle], { encoding: 'utf8' }).stdout.trim().split('\n')
    t.ok(tar.every((name) => name.startsWith('home/pepe/.sugar/default/datastore/')))
    const xoj = await school.say('restore', ana.serial, '--entry', whale, '--to', join(place, 'one.xoj'))
    t.match(xoj.err, /0\.101\.2 and later.*--form stick/s)
    const help = (await school.backup('restore', '--help')).out
    t.match(help, /--home \/home\/NAME/)
    t.match(help, /FILE\.xob.*empty the Journal and fail/)

    t.equal((await pull(ana, 'snapshots', join(ana.home, 'names'))).code, 0)
    t.same(readdirSync(join(ana.home, 'names')).sort(), [first, second, newest], 'its own, and no others')
    t.equal((await pull(ana, `snapshots/${first}`, join(ana.home, 'then'))).code, 0)
    t.equal(readFileSync(join(ana.home, 'then/cd', turtle, 'data'), 'utf8'), 'Mi casa de tortuga')
    t.equal((await pull(ben, 'snapshots', join(ben.home, 'names'))).code, 0)
    t.equal(readdirSync(join(ben.home, 'names')).length, 1)
    const refused = await rsync(ana, '-rlt', `${ana.home}/names/`, remote(ana, 'snapshots/'))
    t.match(refused, { code: /^(12|77)$/, said: /snapshots cannot be changed/ })
    await quiet(school)
    t.equal((await school.server.stop()).code, 0)
  },
)

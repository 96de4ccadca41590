import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, readFile, realpath, symlink, truncate, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  address,
  choice,
  flag,
  integer,
  list,
  type Option,
  path,
  paths,
  port,
  seconds,
  secret,
  text,
} from '../../core/api.js'
import { coreOptions } from '../../core/config/core-options.js'
import { type Given, readLayers } from '../../core/config/layers.js'
import { originText } from '../../core/config/settings.js'
import { loadPlugin } from '../../core/loading/load.js'
import { makePlan } from '../../core/loading/plan.js'
import { type Enlisted, enlist } from '../../core/loading/roster.js'
import { plugin } from '../support/core/boot-plugins.js'
import { runs } from '../support/rounds.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const isRoot = process.getuid?.() === 0

const flagged = (settings: Record<string, string>, base = '/'): Given[] =>
  Object.entries(settings).map(([name, text]) => ({ name, text, origin: { from: 'flag', flag: name }, base }))

const member = (one: ReturnType<typeof plugin>, source: Enlisted['source'] = 'path'): Enlisted => ({
  name: one.name,
  source,
  plugin: one,
})

/** A directory that is HOME until the test ends, so that nobody's own settings are read. */
async function home(t: Test): Promise<string> {
  const folder = await temporaryDirectory(t)
  const before = process.env.HOME
  process.env.HOME = folder
  t.teardown(() => {
    if (before === undefined) delete process.env.HOME
    else process.env.HOME = before
  })
  return folder
}

/** Writes a settings file into a new directory. */
async function settingsFile(t: Test, content: string | Buffer, name = 'school.conf'): Promise<string> {
  const file = join(await temporaryDirectory(t), name)
  await writeFile(file, content, { mode: 0o644 })
  return file
}

/** What readLayers() made of one file, whatever else there is on this machine. */
const read = (file: string) => {
  const { given, problems, files } = readLayers(file)
  return {
    given: given.filter(({ origin }) => origin.from === 'file' && origin.file === file),
    problems: problems.filter(({ message }) => message.startsWith(file)),
    wasRead: files.includes(file),
  }
}

const values = ({ given }: { given: Given[] }) => given.map(({ name, text }) => [name, text])

t.test('layers', async (t) => {
  t.test(
    'the user file, then --config, then flags: later wins, and each value knows whence it came',
    async (t) => {
      const folder = await home(t)
      const user = join(folder, '.local', 'sugar-server', 'config')
      await mkdir(join(user, '..'), { recursive: true })
      await writeFile(user, '[core]\nhostname = user\nhost = 127.0.0.1\nhttpd-port = 1\n', { mode: 0o600 })
      const extra = await settingsFile(t, '[core]\nhostname = extra\n\nhttpd-port = 2\n')
      const { given, problems, files } = readLayers(extra)
      t.same(problems, [])
      t.same(files.slice(-2), [user, extra])
      const { settings } = await makePlan({ members: [], problems: [] }, [
        ...given,
        ...flagged({ 'httpd-port': '3' }),
      ])
      t.equal(settings.get('host'), '127.0.0.1')
      t.equal(settings.get('hostname'), 'extra')
      t.equal(settings.get('httpd-port'), 3)
      t.equal(settings.get('strict'), false)
      const origins = Object.fromEntries(settings.all().map(({ name, origin }) => [name, originText(origin)]))
      t.match(origins, {
        host: `${user}:3`,
        hostname: `${extra}:2`,
        'httpd-port': 'the command line',
        strict: 'the default',
      })
      t.equal(settings.describe('hostname'), `hostname (${extra}:2)`)
      t.equal(settings.describe('strict'), 'strict')
      t.throws(() => settings.get('no-such-option'), { message: 'no option is called no-such-option' })
    },
  )

  t.test('files that may be absent are, without a word', async (t) => {
    const folder = await home(t)
    t.same(
      readLayers().problems.filter(({ message }) => message.includes(folder)),
      [],
    )
    await writeFile(join(folder, '.local'), 'a file where a directory should be')
    t.same(
      readLayers().problems.filter(({ message }) => message.includes(folder)),
      [],
    )
  })

  t.test('the file behind --config must be a settings file that can be read', async (t) => {
    const folder = await temporaryDirectory(t)
    const gone = join(folder, 'gone.conf')
    t.same(read(gone).problems, [
      {
        code: 'CONFIG_UNREADABLE',
        message: `${gone} does not exist`,
        hint: 'check the path behind --config',
        plugin: undefined,
      },
    ])
    t.match(read(folder).problems, [{ message: `${folder} is not a file`, hint: 'name a settings file' }])
    t.match(read('/dev/null').problems, [{ message: '/dev/null is not a file' }])
    const below = join(await settingsFile(t, ''), 'below')
    t.match(read(below).problems, [{ message: `${below} cannot be read (ENOTDIR)` }])
    const loop = join(folder, 'loop')
    await symlink(loop, loop)
    t.match(read(loop).problems, [{ message: `${loop} cannot be read (ELOOP)` }])
    if (isRoot) return
    const shut = await settingsFile(t, '')
    await chmod(shut, 0)
    t.match(read(shut).problems, [
      { message: `${shut} cannot be read (EACCES)`, hint: 'let this user read it' },
    ])
  })

  t.test('a file that others can write is refused: it names code that will run', async (t) => {
    const file = await settingsFile(t, '[core]\nhostname = x\n')
    for (const mode of [0o664, 0o646, 0o666]) {
      await chmod(file, mode)
      t.match(read(file), {
        given: [],
        wasRead: false,
        problems: [
          {
            code: 'CONFIG_UNREADABLE',
            message: `${file} can be written by other users`,
            hint: `protect it: chmod go-w ${file}`,
          },
        ],
      })
    }
    await chmod(file, 0o444)
    t.same(values(read(file)), [['hostname', 'x']])
  })

  t.test(
    "another user's file is refused",
    { skip: !isRoot && 'only root can give files away' },
    async (t) => {
      const file = await settingsFile(t, '[core]\nhostname = x\n')
      await chown(file, 65534, 65534)
      t.match(read(file), {
        given: [],
        problems: [
          { message: `${file} belongs to another user`, hint: `give it to this user: chown 0 ${file}` },
        ],
      })
    },
  )

  t.test('nothing at all is a settings file too, whatever nothing it is', async (t) => {
    for (const nothing of ['', '\n', '  \r\n\t\n', '\ufeff', '# all of it is a comment\n']) {
      const file = await settingsFile(t, nothing)
      t.same(read(file), { given: [], problems: [], wasRead: true }, JSON.stringify(nothing))
    }
  })

  t.test('a byte order mark and the line ends of Windows do no harm', async (t) => {
    const file = await settingsFile(t, '\ufeff[core]\r\nhostname = school\r\nhost = 127.0.0.1\r\n')
    t.match(read(file), {
      problems: [],
      given: [
        { name: 'hostname', text: 'school', section: 'core', origin: { line: 2 } },
        { name: 'host', text: '127.0.0.1', origin: { line: 3 } },
      ],
    })
  })

  t.test('a value may begin on the line behind its name', async (t) => {
    const file = await settingsFile(t, '[core]\nhostname =\n  school\nplugins:\n  id\n  backup\n')
    t.same(values(read(file)), [
      ['hostname', 'school'],
      ['plugins', 'id\nbackup'],
    ])
  })

  t.test('text that is not UTF-8 is refused, not mangled', async (t) => {
    const file = await settingsFile(t, Buffer.from('[core]\nhostname = señorío\n', 'latin1'))
    t.match(read(file), {
      given: [],
      wasRead: false,
      problems: [
        { code: 'CONFIG_UNREADABLE', message: `${file} is not UTF-8 text`, hint: 'save it as UTF-8' },
      ],
    })
  })

  t.test('a file of more than 1 MiB is no settings file', async (t) => {
    const file = await settingsFile(t, `[core]\nhostname = x\n#${' '.repeat(2 << 20)}`)
    t.match(read(file).problems, [{ message: `${file} is larger than 1 MiB` }])
    await truncate(file, 1 << 20)
    t.same(values(read(file)), [['hostname', 'x']])
  })

  t.test('every mistake of form is told at once with file and line, each once', async (t) => {
    const file = await settingsFile(
      t,
      [
        'early = 1',
        '[core]',
        'nothing',
        'host = a',
        'host = b',
        '[id]',
        'hostname = c',
        '[x]',
        'HostName = d',
      ].join('\n'),
    )
    t.same(
      read(file).problems.map(({ message }) => message),
      [
        `${file}:1: "early = 1" stands before any [section]`,
        `${file}:3: expected "option = value", found "nothing"`,
        `${file}:5: option host again in [core]`,
        `${file}:9: option hostname in [x] was set on line 7 already`,
      ],
    )
  })

  // cosmiconfig takes settings of its own from the working directory, JavaScript included, as soon as it is called;
  // it imports them behind the caller's back, so only the end of the process shows that they were not.
  t.test('code that lies where we happen to be started is not run', async (t) => {
    const layers = new URL('../../core/config/layers.js', import.meta.url)
    const code = `
      const { readLayers } = await import(${JSON.stringify(layers.href)})
      const { given, problems } = readLayers(process.argv[1])
      console.log(JSON.stringify([given.at(-1)?.text, problems, process.cwd()]))`
    const baits = [
      '.config/config.js',
      '.config/config.cjs',
      '.config/config.mjs',
      '.config/config.ts',
      'package.json',
    ]
    for (const bait of baits) {
      const stranger = await realpath(await temporaryDirectory(t))
      const ran = join(stranger, 'ran')
      const trap = `import('node:fs').then((fs) => fs.writeFileSync(${JSON.stringify(ran)}, ''))`
      const manifest = { cosmiconfig: { loaders: { '.conf': './trap.js' } } }
      await mkdir(join(stranger, '.config'))
      await writeFile(join(stranger, 'trap.js'), trap)
      await writeFile(join(stranger, bait), bait === 'package.json' ? JSON.stringify(manifest) : trap)
      const file = await settingsFile(t, '[core]\nhostname = school\n')
      const env = { ...process.env, NODE_OPTIONS: '', HOME: stranger }
      const args = ['--input-type=module', '-e', code, file]
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: stranger, env })
      t.same(JSON.parse(stdout), ['school', [], stranger], bait)
      await t.rejects(readFile(ran), { code: 'ENOENT' })
    }
  })

  t.test('a settings file is read as what it is, whatever its name looks like', async (t) => {
    const folder = await temporaryDirectory(t)
    const ran = join(folder, 'ran')
    const trap = `[core]\nhostname = school\n;require('node:fs').writeFileSync(${JSON.stringify(ran)}, '')\n`
    for (const name of ['a.conf', 'a.js', 'a.cjs', 'a.mjs', 'a.ts', 'a.json', 'a.yaml', 'plain', '.dot']) {
      const file = join(folder, name)
      await writeFile(file, trap, { mode: 0o644 })
      t.same(values(read(file)), [['hostname', 'school']], name)
    }
    await t.rejects(readFile(ran), { code: 'ENOENT' })
  })
})

t.test('settings', async (t) => {
  t.test(
    'all mistakes of all layers come at once, each with its place and what was probably meant',
    async (t) => {
      const file = await settingsFile(
        t,
        '[core]\nhttpd-port = 65536\nhostnam = x\n[who]\nwho-knows = 1\nstrict = perhaps\n',
      )
      const { problems } = await makePlan({ members: [], problems: [] }, [
        ...readLayers(file).given,
        ...flagged({ strict: 'maybe', 'log-level': 'loud' }),
      ])
      t.same(
        problems.map(({ code, message }) => `${code} ${message}`),
        [
          `CONFIG_INVALID ${file}:2: httpd-port must be a whole number from 0 to 65535, not "65536"`,
          `CONFIG_INVALID ${file}:3: unknown option hostnam; did you mean "hostname"?`,
          `CONFIG_INVALID ${file}:5: unknown option who-knows`,
          `CONFIG_INVALID ${file}:6: strict must be yes or no, not "perhaps"`,
          'CONFIG_INVALID the command line: strict must be yes or no, not "maybe"',
          'CONFIG_INVALID the command line: log-level must be one of error, warn, info, debug, silent, not "loud"',
        ],
      )
      t.match(problems[2], { hint: '"sugar-server config" lists the options' })
    },
  )

  t.test('options of a bundled plugin that is switched off may stay, whatever they say', async (t) => {
    const { plugin: id } = await loadPlugin('id', '/')
    const [name = ''] = Object.keys(id.options)
    t.not(name, '')
    const off = await makePlan({ members: [], problems: [] }, flagged({ [name]: 'nonsense\n' }))
    t.same(off.problems, [])
    t.notOk(off.settings.all().some((setting) => setting.name === name))
    const misspelt = await makePlan({ members: [], problems: [] }, flagged({ [`${name}x`]: '1' }))
    t.equal(misspelt.problems.length, 1)
  })

  t.test('what is wrong in the settings of a bundled plugin that runs stops the boot', async (t) => {
    const bundled = plugin('bundled', { options: { 'bundled-port': port({ help: 'Port.', default: 1 }) } })
    const roster = { members: [member(bundled, 'bundled')], problems: [] }
    const { problems, members } = await makePlan(
      roster,
      flagged({ 'bundled-port': 'x', 'bundled-prot': '1' }),
    )
    t.match(problems, [
      { message: 'the command line: bundled-port must be a whole number from 0 to 65535, not "x"' },
      { message: 'the command line: unknown option bundled-prot; did you mean "bundled-port"?' },
    ])
    t.equal(members[0]?.problem, undefined)
  })

  t.test("what is wrong in a third party's own settings fails that plugin alone", async (t) => {
    const third = (name: string) =>
      plugin(name, { options: { [`${name}-port`]: port({ help: 'Port.', default: 1 }) } })
    const roster = {
      members: [third('wrong'), third('misspelt'), third('strange'), third('strange-er'), third('well')].map(
        (one) => member(one),
      ),
      problems: [],
    }
    const file = await settingsFile(
      t,
      [
        '[x]',
        'wrong-port = 65536',
        'misspelt-prot = 1',
        'strange-er-something-else = 1',
        'well-port = 7',
        '[strange]',
        'who-knows = 1',
      ].join('\n'),
    )
    const { problems, members, settings } = await makePlan(roster, read(file).given)
    t.same(problems, [])
    t.same(Object.fromEntries(members.map(({ name, problem }) => [name, problem?.message])), {
      well: undefined,
      wrong: `${file}:2: wrong-port must be a whole number from 0 to 65535, not "65536"`,
      misspelt: `${file}:3: unknown option misspelt-prot; did you mean "misspelt-port"?`,
      'strange-er': `${file}:4: unknown option strange-er-something-else`,
      strange: `${file}:7: unknown option who-knows`,
    })
    t.equal(settings.get('well-port'), 7)
  })

  t.test('a section says more of whose an unknown option is than the beginning of its name', async (t) => {
    const roster = { members: [member(plugin('a')), member(plugin('b'))], problems: [] }
    const file = await settingsFile(t, '[b]\na-word = 1\n')
    const { members } = await makePlan(roster, read(file).given)
    t.same(
      members.filter(({ problem }) => problem !== undefined).map(({ name }) => name),
      ['b'],
    )
  })

  t.test('options of a plugin that could not be loaded do not stop the others', async (t) => {
    const file = await settingsFile(
      t,
      '[core]\nplugins = ./well.mjs, ./broken.mjs\n[broken]\nbroken-word = 1\nhostnam = x\n',
    )
    const folder = join(file, '..')
    await writeFile(join(folder, 'broken.mjs'), 'export default {', { mode: 0o644 })
    await writeFile(
      join(folder, 'well.mjs'),
      "export default { name: 'well', api: 1, summary: 'is well', start() {} }",
      { mode: 0o644 },
    )
    const { given } = read(file)
    const { members, problems } = await makePlan(await enlist(given), given)
    t.match(members, [{ name: 'well', problem: undefined }, { problem: { code: 'PLUGIN_INVALID' } }])
    t.same(
      problems.map(({ message }) => message),
      [`${file}:5: unknown option hostnam; did you mean "hostname"?`],
      'what is near to a known option is still a mistake',
    )
  })

  t.test('names of JavaScript itself are options like any other: unknown', async (t) => {
    const names = ['__proto__', 'constructor', 'tostring']
    const file = await settingsFile(t, `[core]\n${names.map((name) => `${name} = 1`).join('\n')}`)
    const { problems } = await makePlan({ members: [], problems: [] }, read(file).given)
    t.same(
      problems.map(({ message }) => /unknown option (\w+)/.exec(message)?.[1]),
      names,
    )
  })

  t.test('a relative path starts from the settings file that names it, ~/ from home', async (t) => {
    const folder = await home(t)
    const file = await settingsFile(
      t,
      '[core]\nroot = data/here\nplugins = ./one, ../two.js, three, ~/four\n',
    )
    const { settings } = await makePlan({ members: [], problems: [] }, read(file).given)
    const base = join(file, '..')
    t.equal(settings.get('root'), join(base, 'data', 'here'))
    t.strictSame(settings.get('plugins'), [
      join(base, 'one'),
      join(base, '..', 'two.js'),
      'three',
      join(folder, 'four'),
    ])
    const flag = await makePlan({ members: [], problems: [] }, flagged({ root: '~/x' }, '/somewhere'))
    t.equal(flag.settings.get('root'), join(folder, 'x'))
    const relative = await makePlan({ members: [], problems: [] }, flagged({ root: 'x' }, '/somewhere'))
    t.equal(relative.settings.get('root'), '/somewhere/x')
  })
})

t.test('options', async (t) => {
  const help = 'Help.'
  const reading = { base: '/base' }
  const kinds: Record<string, Option<unknown>> = {
    text: text({ help, default: '' }),
    'text with a form': text({ help, default: '', form: { pattern: /^[a-c ]*$/, says: 'some of a to c' } }),
    secret: secret({ help }),
    integer: integer({ help, default: 1, min: 1, max: 999_999_999_999_999 }),
    port: port({ help, default: 1 }),
    seconds: seconds({ help, default: 1, max: 60 }),
    flag: flag({ help, default: false }),
    choice: choice({ help, default: 'a', of: ['a', 'b', 'A'] }),
    list: list({ help, default: [] }),
    path: path({ help, default: '/' }),
    paths: paths({ help }),
    address: address({ help, default: '::' }),
  }
  const words = fc.oneof(
    fc.constantFrom(
      'yes',
      'No',
      'TRUE',
      'off',
      'a',
      'b',
      '::1',
      'fe80::1',
      '10.0.0.1',
      'school.local',
      '-',
      '~/x',
    ),
    fc.integer({ min: -5, max: 70_000 }).map(String),
    fc.nat({ max: 999_999_999_999_999 }).map((number) => `00${number}`),
    fc.string({ unit: 'grapheme' }),
    fc.string({
      unit: fc.constantFrom('a', 'b', 'c', ' ', '/', '.', '~', ',', '\n', '\r', '\0', '#', '=', '"'),
    }),
    fc.stringMatching(/^(\.{0,2}|~)(\/[a-c.]{1,3}){1,3}(, ?[a-c/]+)*$/),
  )

  for (const [kind, option] of Object.entries(kinds)) {
    t.test(`${kind}: what was read is written as text that reads the same, or is refused in words`, (t) => {
      let taken = 0
      let refused = 0
      const property = fc.property(words, (word) => {
        let value: unknown
        try {
          value = option.read(word, reading)
        } catch (error) {
          refused += 1
          return error instanceof Error && /^must /.test(error.message)
        }
        taken += 1
        const again = option.read(option.write(value), { base: '/elsewhere' })
        return JSON.stringify(again) === JSON.stringify(value) && typeof again === typeof value
      })
      t.doesNotThrow(() => fc.assert(property, runs(1000)))
      t.ok(taken > 0)
      if (kind !== 'list') t.ok(refused > 0)
      t.end()
    })
  }

  t.test('every default of the house reads as what it is written as', (t) => {
    for (const [name, option] of Object.entries(coreOptions)) {
      const { default: value, read, write } = option as Option<unknown>
      t.strictSame(read(write(value), reading), value, name)
      t.match(option.help, /^[A-Z].*\.|\/$/, `${name} has help`)
    }
    t.end()
  })

  t.test('read what people write', (t) => {
    const cases: [kind: string, text: string, value: unknown][] = [
      ['port', '0', 0],
      ['port', '65535', 65535],
      ['port', '08000', 8000],
      ['seconds', '60', 60],
      ['flag', 'YES', true],
      ['flag', 'on', true],
      ['flag', '0', false],
      ['list', '', []],
      ['list', ' a ,, b\nc ', ['a', 'b', 'c']],
      ['list', './a, /b, ../c, ~/d, e/f', ['/base/a', '/b', '/c', join(homedir(), 'd'), 'e/f']],
      ['path', '.', '/base'],
      ['path', '~', '/base/~'],
      ['path', '~/', homedir()],
      ['paths', '', []],
      ['paths', './a, b\n~/c\n  /d', ['/base/a, b', join(homedir(), 'c'), '/d']],
      ['address', '::', '::'],
      ['text', ' "as it is" # all', ' "as it is" # all'],
    ]
    for (const [kind, word, value] of cases)
      t.strictSame(kinds[kind]?.read(word, reading), value, `${kind} ${word}`)
    t.end()
  })

  t.test('refuse what they cannot mean', (t) => {
    const cases: [kind: string, texts: string[]][] = [
      [
        'port',
        ['65536', '-1', '+1', '1.0', '1e3', '0x10', '', ' 80', '80 ', '80\n', '８０', '9'.repeat(400)],
      ],
      ['integer', ['0', '1000000000000000']],
      ['seconds', ['61', 'a minute']],
      ['flag', ['', 'y', 'ja', '2', 'yes ']],
      ['choice', ['', 'c', 'B', 'a ']],
      ['text', ['two\nlines', 'a\rb', 'a\0b']],
      ['text with a form', ['d', 'a\n']],
      ['secret', ['two\nlines']],
      ['path', ['', 'a\nb', 'a\0b']],
      ['paths', ['\n', 'a\n', ' a', 'a\nb ', 'a\0b', 'a\rb']],
      ['address', ['', 'http://school', '10.0.0.1:80', '[::1]', 'a b', '-a', 'a..b', 'a'.repeat(64), '*']],
    ]
    for (const [kind, texts] of cases) {
      for (const word of texts) {
        t.throws(
          () => kinds[kind]?.read(word, reading),
          { message: /^must / },
          `${kind} ${JSON.stringify(word)}`,
        )
      }
    }
    t.end()
  })

  t.test('a secret says that it is one, nothing else does', (t) => {
    for (const [kind, option] of Object.entries(kinds))
      t.equal(option.secret === true, kind === 'secret', kind)
    t.end()
  })
})

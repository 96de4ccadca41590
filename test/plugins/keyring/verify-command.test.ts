import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { boot } from '../../../core/testing.js'
import keyring from '../../../plugins/keyring/plugin.js'
import { cliHere } from '../../support/core/cli-here.js'
import { cli, run } from '../../support/core/server-process.js'
import {
  ana,
  cases,
  lease,
  otherCases,
  others,
  pathOf,
  publicKey,
  vector,
} from '../../support/keyring/keyring-vectors.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const uuids = new RegExp([ana, ...others].map(({ uuid }) => uuid).join('|'), 'i')

/** Ends with 0 where a laptop would accept, with 1 where it would not, and says so first. */
const ending = { valid: [0, /^valid: /], invalid: [1, /^refused: /], 'no-match': [1, /^refused: /] } as const

/** Flags for keys of the vectors that a laptop knows. */
const trust = (...names: string[]): string[] =>
  names.flatMap((name) => ['--trust', pathOf(`keys/${name}.public`)])

t.test('keyring verify on everything that the real tools made', async (t) => {
  const home = await temporaryDirectory(t)
  const wanted = [
    ...cases.map(({ id, uuid, ...one }) => ({ ...one, name: id, flags: ['--uuid', uuid] })),
    ...otherCases.oats.map(({ nonce, ...one }) => ({
      ...one,
      name: `oats ${nonce}`,
      flags: ['--nonce', nonce],
    })),
    ...otherCases.delegations.map(({ target, ...one }) => ({
      ...one,
      name: `delegation to ${target}`,
      flags: ['--delegate', pathOf(`keys/${target}.key01`)],
    })),
  ]
  // The first of each kind and end by a process of its own, what is like it by the same code here.
  const seen = new Set<string>()
  for (const { name, file, serial, now, trusted, expect, flags } of wanted) {
    const kind = `${flags[0]} ${expect}`
    const verify = seen.has(kind) ? cliHere : cli
    seen.add(kind)
    const words = ['keyring', 'verify', pathOf(file), '--serial', serial, '--at', now, ...flags]
    const { code, out, err } = await verify(t, [...words, ...trust(...trusted)], { home })
    const [exit, says] = ending[expect]
    t.match({ code, out, err }, { code: exit, out: says, err: '' }, `${name}: ${expect}`)
    t.notMatch(out, uuids)
  }
})

t.test('keyring verify', async (t) => {
  const home = await temporaryDirectory(t)
  const at = ['--at', '20270101T000000Z']
  const verify = (file: string, ...words: string[]) =>
    cliHere(t, ['keyring', 'verify', file, ...at, ...words], { home })
  const v1 = pathOf('leases/v1.sig')
  const laptops = ['--laptops', pathOf('laptops.csv')]

  await t.test('prints a line for people, with keys in short and when it ends', async (t) => {
    const keys = ['lease', 'region', 'server'].map((name) => publicKey(name).id.slice(0, 12)).join(', then ')
    const found = await verify(pathOf('leases/chain2.sig'), ...trust('lease'), '--uuid', ana.uuid)
    t.equal(
      found.out,
      `valid: ${ana.serial}: line 1 is signed by ${keys} in a sig02, which firmware knows since August 2009, counts until 20290601T000000Z\n`,
    )
  })

  await t.test('takes a date for its first second', async (t) => {
    const on = (date: string) =>
      cliHere(t, ['keyring', 'verify', v1, '--at', date, ...trust('lease'), '--uuid', ana.uuid, '--json'], {
        home,
      })
    const first = await on('2030-01-01')
    t.match(JSON.parse(first.out), { at: '20300101T000000Z', accepted: true }, 'in which the lease ends')
    t.match(JSON.parse((await on('2030-01-02')).out), { at: '20300102T000000Z', accepted: false })
    t.match(await on('2030-02-30'), { code: 64, err: /--at 2030-02-30 is neither a date nor a time/ })
  })

  await t.test('gives the facts as JSON', async (t) => {
    const { code, out } = await verify(v1, ...trust('lease'), '--uuid', ana.uuid, '--json')
    t.equal(code, 0)
    t.same(JSON.parse(out), {
      file: v1,
      kind: 'leases',
      at: '20270101T000000Z',
      accepted: true,
      verdicts: [
        {
          serial: ana.serial,
          verdict: 'valid',
          reason: `line 1 is signed by ${publicKey('lease').id.slice(0, 12)}`,
          expiry: '20300101T000000Z',
          keys: [publicKey('lease').id],
        },
      ],
    })
    const refused = await verify(
      pathOf('leases/v1-expired.sig'),
      ...trust('lease'),
      '--uuid',
      ana.uuid,
      '--json',
    )
    t.match(JSON.parse(refused.out), { accepted: false, verdicts: [{ verdict: 'invalid' }] })
    t.equal(refused.code, 1)
  })

  await t.test('accepts nothing that it could not check', async (t) => {
    t.match(await verify(v1, ...trust('lease')), {
      code: 1,
      out: /^undecided: .*; not checked: no uuid/,
      err: '',
    })
    const oats = await verify(pathOf('oats/resp.cjson'), ...trust('oats'))
    t.match(oats, { code: 1, out: /^undecided: .*; not checked: no nonce/ })
    const d1 = await verify(pathOf('delegations/d1.sig'), ...trust('lease'), '--serial', ana.serial)
    t.match(d1, { code: 1, out: /^undecided: .*; not checked: no key/ })
  })

  await t.test('looks from every laptop of a list, and says yes only for all', async (t) => {
    const all = await verify(pathOf('cjson/leases.cjson'), ...trust('lease'), ...laptops)
    t.equal(all.code, 0)
    t.equal(all.out.match(/^valid: /gm)?.length, 3)
    const lines = await verify(pathOf('leases/multi.sig'), ...trust('lease'), ...laptops)
    t.match(lines, { code: 0, out: /^(valid: .*\n){3}$/ })
    const delegations = ['delegations/d-lease.sig', ...trust('lease')] as const
    const [file, ...flags] = delegations
    const server = ['--delegate', pathOf('keys/server.public')]
    t.match(await verify(pathOf(file), ...flags, ...server, ...laptops), {
      code: 0,
      out: /^(valid: .*\n){3}$/,
    })

    const list = join(home, 'two.csv')
    await writeFile(
      list,
      `school,${ana.serial.toLowerCase()},"${ana.uuid}"\r\n\r\n${others[0]?.serial} , ${ana.uuid}\n`,
    )
    const some = await verify(pathOf('leases/multi.sig'), ...trust('lease'), '--laptops', list)
    t.equal(some.code, 1)
    t.match(some.out, new RegExp(`^valid: ${ana.serial}: `, 'm'))
    t.match(some.out, new RegExp(`^refused: ${others[0]?.serial}: `, 'm'), 'that is not its uuid')
    t.match(
      some.out,
      new RegExp(`^undecided: ${others[1]?.serial}: .*no uuid`, 'm'),
      'this one is not in the list',
    )
    t.notMatch(some.out + some.err, uuids)
  })

  await t.test('asks which laptop is meant where there are several', async (t) => {
    const several = await verify(pathOf('leases/multi.sig'), ...trust('lease'))
    t.match(several, { code: 64, out: '', err: /for 3 laptops: CSN74805706, .*\n {2}name one with --serial/ })
    const one = await verify(
      pathOf('leases/multi.sig'),
      ...trust('lease'),
      '--serial',
      'shc94700123',
      ...laptops,
    )
    t.match(one, { code: 0, out: /^valid: SHC94700123: line 3 .*\n$/ })
    const none = await verify(pathOf('leases/multi.sig'), ...trust('lease'), '--serial', 'ABC00000000')
    t.match(none, { code: 1, out: 'refused: ABC00000000: nothing in it is for ABC00000000\n' })
    const bare = await verify(pathOf('delegations/d1.sig'), ...trust('lease'))
    t.match(bare, { code: 64, err: /does not say for which laptop.*\n {2}name the laptop with --serial/ })
  })

  await t.test('takes several keys, as .public files or texts', async (t) => {
    const both = join(home, 'both.key01')
    await writeFile(both, vector('keys/rogue.key01') + vector('keys/lease.key01').replace('\n', '\r\n'))
    const ways = [
      ['--trust', both],
      [...trust('rogue'), ...trust('lease')],
      ['--trust', pathOf('keys/lease.key01')],
    ]
    for (const flags of ways)
      t.match(await verify(v1, ...flags, '--uuid', ana.uuid), { code: 0 }, flags.join(' '))
    t.match(await verify(v1, ...trust('rogue'), '--uuid', ana.uuid), { code: 1, out: /no trusted key/ })
  })

  await t.test('says what is wrong with the command line, and tells no secret', async (t) => {
    const good = [...trust('lease'), '--uuid', ana.uuid]
    const wrong: [words: string[], says: RegExp][] = [
      [[], /no key is trusted\n {2}name .* with --trust FILE/],
      [[...good, '--serial', 'SHC9470012'], /--serial SHC9470012 is no serial/],
      [[...trust('lease'), '--uuid', `${ana.uuid}0`], /--uuid is no uuid of a laptop/],
      [[...good, ...laptops], /cannot be given both/],
      [[...good, '--at', 'tomorrow'], /--at tomorrow is neither a date nor a time YYYYMMDDThhmmssZ/],
      [[...good, '--at', '00000000T000000Z'], /is neither a date nor a time/],
      [['--trust', pathOf('keys/lease.private')], /lease\.private is no public key: it is no "key01:" line/],
      [['--trust', pathOf('README.md')], /README\.md is no public key/],
      [[...good, '--nonce', '1'], /--nonce is for a file of another kind than this one, which is: leases/],
      [[...good, '--data', v1], /--data is for a file of another kind/],
      [[...good, '--delegate', pathOf('keys/server.public')], /--delegate is for a file of another kind/],
    ]
    for (const [words, says] of wrong) {
      const { code, out, err } = await verify(v1, ...words)
      t.match({ code, out, err }, { code: 64, out: '', err: says }, words.at(-1) ?? 'nothing')
      t.notMatch(err, uuids)
    }
  })

  await t.test('ends with 66 at what cannot be read, and waits at nothing', async (t) => {
    await run(t, ['mkfifo', 'pipe'], { cwd: home })
    await mkdir(join(home, 'folder'))
    const flags = trust('lease')
    for (const name of ['nowhere', 'pipe', 'folder', 'folder/deep/down']) {
      const path = join(home, name)
      t.match(
        await verify(path, ...flags),
        { code: 66, out: '', err: new RegExp(`${path} (is no file|cannot be)`) },
        name,
      )
      t.match(await verify(v1, '--trust', path), { code: 66, out: '' }, `--trust ${name}`)
      t.match(await verify(v1, ...flags, '--laptops', path), { code: 66, out: '' }, `--laptops ${name}`)
    }
    t.match(await verify('/dev/zero', ...flags), { code: 66, err: /is no file/ })
    const huge = join(home, 'huge')
    await run(t, ['truncate', '-s', '65M', huge])
    t.match(await verify(huge, ...flags), { code: 65, err: /has more than the 67108864 bytes/ })
  })

  await t.test('says of a file that is something else what it should be', async (t) => {
    const some = async (text: string | Buffer) => {
      await writeFile(join(home, 'some'), text)
      return verify(join(home, 'some'), ...trust('lease'))
    }
    for (const text of [
      '',
      '\n',
      'hello\n',
      '\u001b[2J',
      '{}',
      Buffer.alloc(1_000_000, 10),
      Buffer.from([0, 255]),
    ])
      t.match(await some(text), { code: 1, out: /^refused: begins with none of act01:, .* zip\n$/, err: '' })
    t.match(await some('# ours\nact01: x\n'), { code: 1, out: /^refused: names no laptop/ })
    t.match(await some(`# ours\n${lease('lease')}\n`), {
      code: 1,
      out: /^refused: SHC94700123: line 1 does not begin/,
    })
    t.match(
      await some('act01: \u001b[2J K \n'),
      { code: 1, out: /^refused: [ -~]*\n$/ },
      'no terminal is turned',
    )
    const bad = await verify(pathOf('cjson/BAD-json-escaped-newlines.json'), ...trust('lease'))
    t.match(bad, {
      code: 1,
      out: /^refused: is no bundle that a laptop can read: at 649: the escape \\n, which/,
    })
  })

  await t.test('needs no server, no root and no plugin switched on', async (t) => {
    const words = ['--root', '/proc/nowhere', '--plugins', 'id', ...trust('lease'), '--uuid', ana.uuid]
    t.match(await cli(t, ['keyring', 'verify', v1, ...at, ...words], { home }), { code: 0, err: '' })
    const help = await cli(t, ['keyring', 'verify', '--help'], { home })
    t.match(help, { code: 0, out: /^Usage: sugar-server keyring verify FILE \[options\]/ })
  })
})

t.test('a house runs keyring verify for a test as the command line does', async (t) => {
  const house = await boot({ plugins: [keyring] })
  t.teardown(() => house.dispose())
  const options = { trust: pathOf('keys/lease.public'), uuid: ana.uuid, at: '20270101T000000Z' }
  const found = await house.command(['keyring', 'verify'], {
    args: { file: pathOf('leases/v1.sig') },
    options,
  })
  t.match(found, { ended: { exit: 0 }, out: /^valid: / })
})

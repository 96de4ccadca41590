import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync } from 'node:fs'
import { chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openMedium, type SugarError } from '../../core/api.js'
import { checkSignature } from '../../core/medium/signature.js'
import { until } from '../support/core/server-process.js'
import { limit, namesIn, refusal, stickWith } from '../support/core/signed-stick.js'
import { needs } from '../support/needs.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const home = await temporaryDirectory(t)
// In here, so that what is left behind shows.
const temporary = await temporaryDirectory(t)
process.env.TMPDIR = temporary

function gpg(args: readonly string[], input?: string): Buffer {
  const { status, stdout, stderr } = spawnSync('gpg', ['--batch', '--yes', '--quiet', ...args], {
    env: { PATH: process.env.PATH, GNUPGHOME: home, LC_ALL: 'C' },
    input,
  })
  if (status !== 0) throw new Error(`gpg ${args.join(' ')}: ${stderr}`)
  return stdout
}

/** Long ago, for keys and signatures that have expired since; and the clock of one that is ahead of this machine's. */
const then = ['--faked-system-time', '20200101T000000!']
const ahead = ['--faked-system-time', '20990101T000000!']

const hasGpg = ['gpg', 'gpg-agent', 'gpgv'].every((program) => needs(t, program, program))

/** People with a key each; `old` had one for a day of 2020, and `early` has one made with a clock that is ahead. */
const people = ['school', 'region', 'stranger', 'old', 'gone', 'early']

if (hasGpg) {
  await chmod(home, 0o700)
  t.teardown(() =>
    spawnSync('gpgconf', ['--kill', 'gpg-agent'], { env: { ...process.env, GNUPGHOME: home } }),
  )
  for (const name of people) {
    const time = name === 'old' ? then : name === 'early' ? ahead : []
    const expiry = name === 'old' ? '1d' : 'never'
    const make = ['--quick-gen-key', `${name}@example.org`, 'ed25519', 'sign', expiry]
    gpg([...time, '--passphrase', '', ...make])
  }
}

const keyOf = (...names: string[]): Buffer => gpg(['--export', ...names.map((name) => `${name}@example.org`)])

const sign = (name: string, path: string, ...options: string[]): Buffer =>
  gpg([...options, '--local-user', `${name}@example.org`, '--output', '-', '--detach-sign', path])

/** A stick that some have signed, and a file with the keys that count. */
async function signed(t: Test, by: string[], keys: Buffer | string, options: string[] = []) {
  const stick = await stickWith(t, { 'leases.sig': 'act01' })
  const signatures = by.map((name) => sign(name, join(stick, 'manifest.sha1'), ...options))
  await writeFile(join(stick, 'manifest.sha1.sig'), Buffer.concat(signatures))
  const trusted = join(await temporaryDirectory(t), 'trusted.gpg')
  await writeFile(trusted, keys)
  return { stick, keys: trusted, open: () => openMedium(stick, { security: true, keys: trusted }) }
}

/** Runs with other programs on the PATH. */
async function withPath<T>(path: string, work: () => Promise<T>): Promise<T> {
  const before = process.env.PATH
  process.env.PATH = path
  try {
    return await work()
  } finally {
    process.env.PATH = before
  }
}

/** A gpgv of our own, in a directory of its own. */
async function gpgvThat(t: Test, script: string): Promise<string> {
  const folder = await temporaryDirectory(t)
  await writeFile(join(folder, 'gpgv'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return `${folder}:/usr/bin:/bin`
}

if (hasGpg) {
  t.test(
    'a stick that a known key has signed is read; whoever signed it, without security, too',
    async (t) => {
      const { stick, open } = await signed(t, ['school'], keyOf('region', 'school'))
      t.equal((await (await open()).read('leases.sig', { limit })).toString(), 'act01')
      t.same((await open()).strangers, [], 'the signature itself is no stranger')
      await writeFile(join(stick, 'manifest.sha1.sig'), 'no signature at all')
      t.same((await openMedium(stick, { security: false, keys: '/nowhere' })).names, ['leases.sig'])
      t.match(await refusal(open()), /^REFUSED/)
    },
  )

  t.test('keys are taken in every form in which gpg gives them, and so are signatures', async (t) => {
    const armored = (...names: string[]) =>
      gpg(['--armor', '--export', ...names.map((name) => `${name}@example.org`)]).toString()
    const forms: [what: string, keys: Buffer | string][] = [
      ['armored', armored('school')],
      ['armored, with CRLF', armored('school').replaceAll('\n', '\r\n')],
      ['two, one behind the other', Buffer.concat([keyOf('region'), keyOf('school')])],
      [
        'two armored, with words',
        `The region:\n\n${armored('region')}\nThe school:\n\n${armored('school')}\n`,
      ],
      ['two armored as one', armored('region', 'school')],
      ['a keybox', await readFile(join(home, 'pubring.kbx'))],
    ]
    for (const [what, keys] of forms) {
      const { open } = await signed(t, ['school'], keys)
      t.same((await open()).names, ['leases.sig'], what)
    }
    const { open } = await signed(t, ['school'], keyOf('school'), ['--armor'])
    t.same((await open()).names, ['leases.sig'], 'an armored signature')
    const { stick, keys } = await signed(t, ['school'], keyOf('school'))
    await symlink(keys, join(stick, 'trusted.gpg'))
    const linked = await openMedium(stick, { security: true, keys: join(stick, 'trusted.gpg') })
    t.same(linked.names, ['leases.sig'], 'a link to the file of keys')
  })

  t.test('a signature that is not by a known key and of this very manifest is refused', async (t) => {
    const { stick, open } = await signed(t, ['school'], keyOf('school'))
    const signature = join(stick, 'manifest.sha1.sig')
    const refused = async (content: Buffer | string, reason: RegExp) => {
      await writeFile(signature, content)
      const said = await refusal(open())
      t.ok(said.startsWith(`REFUSED: ${signature} `), said)
      t.match(said, reason)
    }
    const manifest = join(stick, 'manifest.sha1')
    const good = await readFile(signature)
    await refused(
      sign('stranger', manifest),
      /is by a key that is not among the known ones \(key [0-9A-F]{16}\)$/,
    )
    await refused(Buffer.concat([good, sign('stranger', manifest)]), /not among the known ones/)
    await refused(sign('school', join(stick, 'leases.sig')), /is not of this manifest/)
    await refused('', /is not a detached signature/)
    await refused(
      '-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n',
      /is not a detached signature/,
    )
    await refused(Buffer.alloc(60_000, 0xa3), /is not a detached signature/)
    await refused(keyOf('school'), /is not a detached signature/)
    // Signed words of the school's, which say nothing of this manifest.
    for (const form of ['--sign', '--clearsign'])
      await refused(gpg(['-u', 'school@example.org', form], 'any words'), /is not a detached signature/)
    await writeFile(signature, good)
    t.same((await open()).names, ['leases.sig'])
    appendFileSync(manifest, `${'0'.repeat(40)}  more.sig\n`)
    t.match(await refusal(open()), /is not of this manifest, or one of both has been changed/)

    await writeFile(signature, Buffer.alloc(64 * 1024 + 1))
    t.match(await refusal(open()), /^REQUEST_TOO_LARGE/)
    await rm(signature)
    t.equal(
      await refusal(open()),
      `REFUSED: security is on, and there is no manifest.sha1.sig in ${stick}`,
      'and so is none',
    )
    await symlink('/dev/zero', signature)
    t.match(await refusal(open()), /^REFUSED: .* is not a file but a symbolic link/)
  })

  t.test(
    'a key or a signature whose time is over does not count, nor does a key that was revoked',
    async (t) => {
      const { open: openOld } = await signed(t, ['old'], keyOf('old', 'school'), then)
      t.match(await refusal(openOld()), /is by a key that has expired/)

      const brief = [...then, '--default-sig-expire', '1d', '--ignore-time-conflict']
      const { open: openBrief, stick: late } = await signed(t, [], keyOf('old'))
      await writeFile(join(late, 'manifest.sha1.sig'), sign('old', join(late, 'manifest.sha1'), ...brief))
      t.match(await refusal(openBrief()), /expired/)

      const early = await signed(t, ['early'], keyOf('early'), ahead)
      t.match(
        await refusal(early.open()),
        /cannot be checked \(.*clock problem/,
        'and of a dead clock the word is passed on',
      )

      const gone = await signed(t, ['gone'], keyOf('gone'))
      t.same((await gone.open()).names, ['leases.sig'])
      const both = await signed(t, ['school', 'gone'], keyOf('gone', 'school'))
      t.same((await both.open()).names, ['leases.sig'])
      const [, print = ''] = /^fpr:+([0-9A-F]{40}):/m.exec(
        String(gpg(['--with-colons', '--list-keys', 'gone@example.org'])),
      ) as string[]
      const revocation = await readFile(join(home, 'openpgp-revocs.d', `${print}.rev`), 'utf8')
      gpg(['--import'], revocation.replace(/^:---/m, '---'))
      await writeFile(gone.keys, keyOf('gone'))
      await writeFile(both.keys, keyOf('gone', 'school'))
      t.match(await refusal(gone.open()), /is by a key that has been revoked/)
      t.match(await refusal(both.open()), /is by a key that has been revoked/, 'not even beside a good one')
    },
  )

  t.test('without keys to compare with, the refusal says which option names them', async (t) => {
    const { stick, keys, open } = await signed(t, ['school'], 'no keys')
    const none = `REFUSED: security is on, and ${keys} holds no public keys`
    t.equal(await refusal(open()), none)
    const secret = gpg(['--passphrase', '', '--export-secret-keys', 'school@example.org'])
    const armored = gpg(['--armor', '--passphrase', '', '--export-secret-keys', 'school@example.org'])
    const armor = '-----BEGIN PGP PUBLIC KEY BLOCK-----'
    for (const content of ['', secret, armored, armor, `${armor}\n\nAAAA\n`, Buffer.from([0x99])]) {
      await writeFile(keys, content)
      t.match(await refusal(open()), /^REFUSED: /)
    }
    await writeFile(keys, Buffer.alloc(1024 * 1024 + 1))
    t.match(await refusal(open()), /^REQUEST_TOO_LARGE/)
    await rm(keys)
    t.equal(
      await refusal(open()),
      `REFUSED: security is on, and there is no file ${keys} of the keys that may sign sticks`,
    )
    const hint = await open().catch(({ hint }: SugarError) => hint)
    t.match(hint, `gpg --export KEY > ${keys}`)
    t.match(hint, 'set security-keys')
    await mkdir(keys)
    t.equal(await refusal(open()), `REFUSED: ${keys} is not a file but a directory`)
    t.match(
      await refusal(openMedium(stick, { security: true, keys: join(stick, 'leases.sig', 'x') })),
      /ENOTDIR/,
    )
  })

  t.test('keys that others could put there do not count', async (t) => {
    const { keys, open } = await signed(t, ['school'], keyOf('school'))
    await chmod(keys, 0o666)
    t.equal(await refusal(open()), `CONFIG_UNREADABLE: ${keys} can be written by other users`)
  })

  t.test('without gpgv nothing is taken, and which package brings it is said', async (t) => {
    const { open } = await signed(t, ['school'], keyOf('school'))
    const empty = await temporaryDirectory(t)
    for (const path of [empty, '', `:.:${empty}`]) {
      await withPath(path, async () => {
        t.match(await refusal(open()), /^PROGRAM_MISSING: the program gpgv/)
        t.match(await open().catch(({ hint }: SugarError) => hint), /^install the package gpgv/)
      })
    }
  })

  t.test('a gpgv that says yes by halves has not said yes', async (t) => {
    const { open } = await signed(t, ['school'], keyOf('school'))
    const good = 'echo "[GNUPG:] GOODSIG 0123456789ABCDEF school"'
    const valid = 'echo "[GNUPG:] VALIDSIG 0123456789ABCDEF0123456789ABCDEF01234567"'
    const bad = 'echo "[GNUPG:] BADSIG 0123456789ABCDEF school"'
    const halves = ['exit 0', good, valid, `${good}; ${valid}; exit 1`, `${good}; ${valid}; kill -9 $$`]
    const lies = [`echo "x${good.slice(6)}; ${valid}`, `${good}; ${valid}; ${bad}`]
    for (const script of [...halves, ...lies]) {
      await withPath(await gpgvThat(t, script), async () =>
        t.match(await refusal(open()), /^REFUSED/, script),
      )
    }
    const broken = await gpgvThat(t, good)
    await writeFile(join(broken.split(':')[0] ?? '', 'gpgv'), '#!/nowhere/sh\n')
    await withPath(broken, async () => t.match(await refusal(open()), /^PROGRAM_MISSING: .*cannot be run/))
    await withPath(await gpgvThat(t, `${good}; ${valid}`), async () => {
      t.same((await open()).names, ['leases.sig'], 'both lines and a good end')
    })
  })

  t.test('a gpgv that does not come to an end is ended, in time or when the caller gives up', async (t) => {
    const { stick, keys } = await signed(t, ['school'], keyOf('school'))
    await withPath(await gpgvThat(t, 'exec sleep 600'), async () => {
      const parts = { content: Buffer.from('a'), signature: Buffer.from('b'), keys: Buffer.from('c') }
      const late = checkSignature({ ...parts, path: '/stick/manifest.sha1.sig' }, undefined, 200)
      t.equal(await refusal(late), 'UNAVAILABLE: gpgv did not check the signature within 0.2 s')
    })
    const begun = join(await temporaryDirectory(t), 'begun')
    await withPath(
      await gpgvThat(t, `echo $$ > ${begun}.new; mv ${begun}.new ${begun}; exec sleep 600`),
      async () => {
        const giveUp = new AbortController()
        const opening = openMedium(stick, { security: true, keys, signal: giveUp.signal })
        opening.catch(() => undefined)
        await until(() => existsSync(begun), 'gpgv runs')
        giveUp.abort()
        await t.rejects(opening, { name: 'AbortError' })
        const pid = Number(await readFile(begun, 'utf8'))
        t.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'and it is gone')
      },
    )
  })

  t.test('of all this nothing is left in the directory for temporary files', async (t) => {
    t.same(
      (await namesIn(temporary)).filter((name) => !name.startsWith('sugar-medium-')),
      [],
    )
  })
}

import t from 'tap'
import { idOf } from '../../support/keyring/filled-vault.js'
import { made } from '../../support/keyring/key-files.js'
import { give, home } from '../../support/keyring/keyring-server.js'

t.setTimeout(300_000)

const authority = { 'keyring-role': 'authority' }
const short = (name: string) => idOf(name).slice(0, 12)
const file = (path: string, name: string) => ({ path, bytes: made(name) })

t.test(
  'without --role a key is for what its file is called, and is refused where that says nothing',
  async (t) => {
    const its = await home(t, authority)
    const files = [
      file('keys/lease.private', 'lease.private'),
      file('keys/lease.public', 'lease.public'),
      file('oats.private', 'oats.private'),
      file('stick/server.pri', 'server.private'),
      file('developer.public', 'developer.public'),
      file('region.private', 'region.private'),
      file('rogue.public', 'rogue.public'),
      file('Lease.public', 'n-lease.public'),
      file('nameless', 'rogue.public'),
      file('-', 'region.private'),
      file('fw.key01', 'rogue.key01'),
    ]
    const took = await its.house.command(['keyring', 'import'], { args: { file: '.' }, files })
    t.equal(took.ended.exit, 65)
    for (const [role, name] of [
      ['lease', 'lease'],
      ['oats', 'oats'],
      ['server', 'server'],
    ])
      t.match(took.out, `taken: pair ${short(name ?? '')} (${role}) of`)
    t.match(took.out, `taken: public key ${short('developer')} (developer) of developer.public`)
    t.match(took.out, `taken: public key ${short('rogue')} (fw) of fw.key01`)
    for (const path of ['region.private', 'rogue.public', 'Lease.public', 'nameless', '-'])
      t.match(
        took.err,
        `refused: ${path} does not say by its name what it is for: add --role with one of lease, oats,`,
      )
    t.match(took.out, /5 taken, 0 as they were, 5 refused\n$/)
    t.match(JSON.parse((await its.run('list', { json: true })).out), [
      { role: 'lease' },
      { role: 'oats' },
      { role: 'server' },
      { role: 'developer' },
      { role: 'fw' },
    ])
    t.strictSame(
      its.keyring.trusted('lease').map(({ id }) => id),
      [idOf('lease')],
      'no other key of them signs leases',
    )
    t.match(
      await its.house.command(['keyring', 'import'], {
        args: { file: 'x' },
        files: [file('developer.private', 'lease.private')],
        options: { role: 'king' },
      }),
      { ended: { exit: 64, message: '"king" is nothing that a key is for', hint: /lease, oats/ } },
    )
  },
)

t.test('what is said with --role counts, whatever a file is called', async (t) => {
  const its = await home(t, authority)
  const { ended, out } = await its.house.command(['keyring', 'import'], {
    args: { file: 'x' },
    files: [file('developer.public', 'oats.public')],
    options: { role: 'oats' },
  })
  t.equal(ended.exit, 0)
  t.match(out, `taken: public key ${short('oats')} (oats) of developer.public`)
})

t.test('a private key that takes the place of another one says so', async (t) => {
  const its = await home(t, authority)
  const take = async (role: string, path: string) => {
    const { out } = await its.house.command(['keyring', 'import'], {
      ...{ args: { file: 'x' }, options: { role }, files: [file(path, path)] },
    })
    return out
  }
  t.notMatch(await take('lease', 'lease.private'), /in place of/, 'the first')
  t.notMatch(await take('lease', 'rogue.public'), /in place of/, 'a public key')
  t.notMatch(await take('lease', 'lease.private'), /in place of/, 'one that is here')
  t.match(
    await take('lease', 'n-lease.private'),
    `taken: pair ${short('n-lease')} (lease) of n-lease.private; signs from now on, in place of ${short('lease')}\n`,
  )
  t.notMatch(await take('lease', 'rogue.private'), /in place of/, 'it was added before the one that signs')
  await give(its, 'server', 'server')
  t.notMatch(
    await take('server', 'region.private'),
    /in place of/,
    'what was delegated to the other is still its own',
  )
})

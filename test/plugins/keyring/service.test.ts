import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkLease } from '../../../sugaroid/index.js'
import { made } from '../../support/keyring/key-files.js'
import { compact, csv, give, home, inDays, laptop } from '../../support/keyring/keyring-server.js'
import { madeUp, openDesk, second, xo } from '../../support/keyring/open-keyring.js'
import { good, writeTool } from '../../support/keyring/signing-tool.js'
import { needs } from '../../support/needs.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

t.test('status says in words what is signed, and health what is wrong', async (t) => {
  const its = await home(t)
  const lines = async () => (await its.told()).lines
  t.match(await lines(), [/role {7}school/, /mode {7}signs nothing: no key/, /driver {5}native/])
  await give(its, 'server', 'server')
  t.match((await lines())[1], /signs nothing: no delegation that counts now/)
  t.notMatch((await its.told()).all, /lies on a school server/)
  await give(its, 'lease', 'lease')
  t.match((await lines())[1], /signs leases with its own key/)
  t.match((await lines()).at(-1), /warning {4}the private half of the master key .* lies on a school server/)
  t.match((await its.house.status()).health, [
    { plugin: 'keyring', what: 'keys', problem: /lies on a school server/ },
  ])
})

t.test('without the tools of bios-crypto only what they should sign is missing', async (t) => {
  const tools = temporaryDirectorySync(t)
  const its = await home(t, { 'keyring-driver': 'bios-crypto', 'bios-crypto-path': tools })
  await give(its, 'lease', 'lease')
  t.match(
    await its.keyring.obstacle(),
    /bios-crypto cannot sign: none of bc-sig01.*set keyring-driver = native/,
  )
  t.match(its.keyring.basis('lease', xo.serial), { version: 1 })
  const ask = { ...xo, expiry: `${compact(inDays(1))}T000000Z`, by: 'test' }
  await t.rejects(its.keyring.lease(ask), {
    code: 'UNAVAILABLE',
    message: /nothing is signed now: bios-crypto/,
  })
  t.match(await its.run('lease', { file: csv, options: { until: inDays(1) } }), {
    exit: 75,
    err: /bios-crypto cannot sign/,
  })
  t.equal((await its.run('list')).exit, 0, 'the rest goes on')
  t.match((await its.told()).lines.join('\n'), /signs nothing now: bios-crypto cannot sign/)
  const [, driver] = (await its.house.status()).health
  t.match(driver, { what: 'driver', problem: /bios-crypto cannot sign/ })
})

t.test('other plugins sign and import through the service', async (t) => {
  const its = await home(t)
  const { keyring } = its
  const pair = { private: made('server.private'), public: made('server.public') }
  await t.rejects(keyring.takeServerKey({ ...pair, public: made('rogue.public') }, 'guest'), {
    ...{ code: 'REQUEST_INVALID', message: 'the public and the private key do not belong together' },
  })
  await t.rejects(keyring.takeServerKey({ ...pair, private: Buffer.from('no key') }, 'guest'), {
    code: 'REQUEST_INVALID',
  })
  await t.rejects(keyring.takeServerKey({ ...pair, public: Buffer.from('no key') }, 'guest'), {
    code: 'REQUEST_INVALID',
  })
  t.equal(await keyring.takeServerKey(pair, 'guest'), true)
  t.equal(await keyring.takeServerKey(pair, 'guest'), false)
  await give(its, 'lease', 'lease')
  const master = { private: made('lease.private'), public: made('lease.public') }
  await t.rejects(
    keyring.takeServerKey(master, 'guest'),
    { code: 'REFUSED', message: /kept as a key for lease already/ },
    'a master key is none of a server, though it is here',
  )
  t.equal(keyring.trusted('server').length, 1)
  t.match(keyring.delegations(), [])
  t.equal(keyring.reach('oats'), 0)
  t.ok(Math.abs(keyring.now().getTime() - Date.now()) < 60_000)
  const audit = JSON.parse((await its.run('audit', { json: true, options: { last: '5' } })).out)
  t.match(JSON.stringify(audit), /"by":"guest","what":"keyring import"/)
})

t.test('a private key that a killed server had lent to the tools is gone after the next start', async (t) => {
  const root = temporaryDirectorySync(t)
  const left = join(root, 'keyring', 'signing', 'abcdef')
  mkdirSync(left, { recursive: true, mode: 0o700 })
  writeFileSync(join(left, 'key.private'), made('lease.private'))
  await home(t, {}, root)
  t.notOk(existsSync(left))
})

t.test('what is kept of laptops and keys nobody else can read', async (t) => {
  const root = temporaryDirectorySync(t)
  const its = await home(t, { 'keyring-role': 'authority' }, root)
  await give(its, 'lease', 'lease')
  const key = join(temporaryDirectorySync(t), 'server.public')
  writeFileSync(key, made('server.public'))
  await its.run('delegate', { file: csv, options: { key, until: inDays(10) } })
  const secrets = [xo.uuid, made('lease.private').subarray(400, 440).toString('latin1')]
  for (const one of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(one.parentPath, one.name)
    if (!one.isFile()) continue
    const text = readFileSync(path, 'latin1')
    if (secrets.some((secret) => text.includes(secret))) t.equal(statSync(path).mode & 0o077, 0, path)
  }
})

t.test('a private key that a killed server left in plain is gone, even if the start fails', async (t) => {
  const root = temporaryDirectorySync(t)
  const left = join(root, 'keyring', 'signing', 'x')
  mkdirSync(left, { recursive: true })
  writeFileSync(join(left, 'key.private'), made('lease.private'))
  const settings = { 'keyring-passphrase-file': join(root, 'none') }
  await t.rejects(openDesk(t, { root, settings }), { code: 'NOT_FOUND' })
  t.notOk(existsSync(left))
})

t.test('an audit log that was tampered with is said as soon as the server is up', async (t) => {
  const desk = await openDesk(t, { keys: [['lease', 'lease']] })
  for (const one of madeUp(5))
    await desk.service.keyring.lease({ ...one, expiry: '20270201T000000Z', by: 'test' })
  await desk.ready()
  t.equal(await desk.health('audit log'), undefined)
  await desk.close()
  const file = join(desk.root, 'keyring', 'audit', 'log')
  const lines = readFileSync(file, 'utf8').split('\n')
  lines.splice(2, 1)
  writeFileSync(file, lines.join('\n'))
  const again = await openDesk(t, { root: desk.root })
  await again.ready()
  t.match(await again.health('audit log'), /not as it was written.*"keyring audit --check"/)
  t.match(await again.service.keyring.lease({ ...xo, expiry: '20270201T000000Z', by: 'test' }), /^act01: /)
})

t.test('a clock in 1970, ten years ahead or a day back signs nothing, and says so everywhere', async (t) => {
  let hours = 0
  const clock = () => new Date(Date.now() + hours * 3_600_000)
  const desk = await openDesk(t, { now: clock, keys: [['lease', 'lease']] })
  const lease = (expiry: string) => desk.service.keyring.lease({ ...xo, expiry, by: 'test' })
  const soon = `${compact(inDays(2))}T000000Z`
  await lease(soon)
  for (const wrong of [-24 * 365 * 56, 24 * 3653, -24]) {
    hours = wrong
    await t.rejects(lease(soon), { code: 'UNAVAILABLE' }, `${wrong} hours`)
    t.ok(
      Math.abs(desk.service.keyring.now().getTime() - Date.now()) < 60_000,
      'what was signed is judged by the last good time',
    )
    t.match(await desk.health('clock'), /the clock says/)
    const { lines } = await desk.service.status()
    t.match(lines.join('\n'), /obstacle {3}signs nothing now: the clock says/)
  }
  hours = 1
  t.match(await lease(soon), /^act01: /)
})

t.test('keys under a passphrase sign with either driver', async (t) => {
  if (!needs(t, 'openssl', 'openssl') || !needs(t, 'bash', 'bash')) return
  const folder = temporaryDirectorySync(t)
  const passphrase = join(folder, 'passphrase')
  writeFileSync(passphrase, 'a phrase of several words\n', { mode: 0o600 })
  const tools = join(folder, 'tools')
  writeTool(tools, 'bc-sig01', good)
  for (const driver of ['native', 'bios-crypto']) {
    const settings = {
      'keyring-passphrase-file': passphrase,
      'keyring-driver': driver,
      'bios-crypto-path': tools,
    }
    const its = await home(t, settings)
    await give(its, 'lease', 'lease')
    const { out, exit, err } = await its.run('lease', { file: csv, options: { until: inDays(1) } })
    t.equal(exit, 0, err)
    t.match(checkLease(out, laptop(second, 'lease')), { verdict: /^valid$/ }, driver)
    t.strictSame(
      readdirSync(join(its.house.root, 'keyring'), { recursive: true }).filter((name) =>
        `${name}`.startsWith('signing/'),
      ),
      [],
    )
  }
})

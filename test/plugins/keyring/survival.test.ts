import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type StoredKey, Vault } from '../../../plugins/keyring/keys/vault.js'
import { facts, filesIn, filled, idOf, names, phrase, publicOf } from '../../support/keyring/filled-vault.js'
import { fill, made, smallDisk } from '../../support/keyring/key-files.js'
import { rounds, seed, spread } from '../../support/rounds.js'
import { seededRandom } from '../../support/seeded-random.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

/** Kills the child somewhere in its work. @param when waits from when it is ready @returns what it told until then */
async function killed(what: string, folder: string, when: () => Promise<unknown>): Promise<string[]> {
  const program = fileURLToPath(new URL('../../support/keyring/keyring-process.js', import.meta.url))
  const child = spawn(process.execPath, [program, what, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await once(child.stdout, 'data')
  await when()
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  // Of a line that was not told whole nobody knows anything.
  return said.split('\n').slice(1, -1)
}

t.test('a crash between any two writes leaves old or new', async (t) => {
  const { folder, vault } = await filled(t, 'lease')
  const before = facts(vault)
  const id = idOf('region')
  const path = (half: string) => join(folder, 'lease', `${id}.${half}`)
  // As addPair() writes them, one after the other.
  writeFileSync(`${path('private')}.new`, made('region.private').subarray(0, 700))
  t.strictSame(facts(await Vault.open(folder)), before, 'half a private key')
  t.notOk(existsSync(`${path('private')}.new`), 'of which nothing stays')
  writeFileSync(path('private'), made('region.private'), { mode: 0o600 })
  const after = [...before, { role: 'lease', id, state: 'active', hasPrivate: true }]
  t.strictSame(facts(await Vault.open(folder)), after, 'the private key alone: the public one is made of it')
  t.ok(readFileSync(path('public')).equals(made('region.public')))
  const states = join(folder, 'states.json')
  const old = readFileSync(states)
  await vault.add('oats', publicOf('oats'))
  writeFileSync(states, old)
  writeFileSync(`${states}.new`, '{"vers')
  t.match((await Vault.open(folder)).find(idOf('oats')), {
    role: 'oats',
    state: 'active',
  } as Partial<StoredKey>)
})

const random = seededRandom(seed)

t.test('kill -9 at any moment loses no key and no state that was told', async (t) => {
  let told = 0
  const many = rounds(14, 7)
  for (let round = 0; round < many; round += 1) {
    const folder = join(temporaryDirectorySync(t), 'keys')
    const lines = await killed('keys', folder, () => setTimeout(spread(random, round, many, 97)))
    told += lines.length
    const vault = await Vault.open(folder)
    t.strictSame(vault.notes, [], `round ${round}: nothing is damaged`)
    t.notOk(filesIn(folder).some((path) => path.endsWith('.new')))
    const last = new Map(lines.map((line) => line.split(' ').reverse() as [string, string]))
    const newest = lines.at(-1)?.split(' ')[1]
    const order = ['added', 'retired', 'compromised', 'active', 'retired']
    for (const [id, state] of last) {
      const found = vault.list().find(({ publicKey }) => publicKey.id === id)
      // The one thing after what was told may have happened, or not.
      const may = [state, ...(id === newest || state === 'active' ? [order[order.indexOf(state) + 1]] : [])]
      const is = found?.state ?? 'lost'
      if (!may.map((one) => (one === 'added' ? 'active' : one)).includes(is) || found?.hasPrivate !== true)
        t.fail(`round ${round}: ${id} was told to be ${state}, and is ${is}`)
    }
    const extra = vault.list().length - last.size
    t.ok(extra === 0 || extra === 1, `${extra} that was not told`)
  }
  t.comment(`${told} changes were told`)
  t.ok(told > many)
})

t.test('kill -9 while keys are being sealed loses none, and the next start goes on', async (t) => {
  const seen = new Set<number>()
  const { folder: plain, vault } = await filled(t, ...names)
  for (let round = 0; round < rounds(10, names.length - 1); round += 1) {
    const folder = join(temporaryDirectorySync(t), 'keys')
    cpSync(plain, folder, { recursive: true })
    const places = vault.list().map(({ publicKey: { id } }) => join(folder, 'lease', `${id}.private`))
    const sealed = () =>
      places.filter((path) => readFileSync(path).toString('latin1', 0, 7) === 'sealed1').length
    const enough = round % (names.length - 1)
    await killed('seal', folder, async () => {
      const deadline = performance.now() + 30_000
      while (sealed() < enough && performance.now() < deadline) await setImmediate()
    })
    seen.add(sealed())
    const again = await Vault.open(folder, { passphrase: phrase() })
    t.strictSame([facts(again), again.notes, sealed()], [facts(vault), [], names.length])
  }
  t.comment(`sealed by then: ${[...seen].join(', ')} of ${names.length}`)
  t.ok(seen.has(0) && [...seen].some((count) => count > 0 && count < names.length), 'the blows met the work')
})

t.test('a full disk takes no key in, loses none, and takes it when there is room', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const folder = join(disk, 'keys')
  const vault = await Vault.open(folder)
  await vault.addPair('lease', made('lease.private'))
  const empty = fill(disk)
  const full = { code: 'NO_SPACE', hint: /make room/ }
  await t.rejects(vault.generate('server'), full)
  await t.rejects(vault.add('lease', publicOf('region')), full)
  await t.rejects(vault.mark(idOf('lease'), 'compromised'), full)
  t.match(facts(vault), [{ id: idOf('lease'), state: 'active', hasPrivate: true }])
  t.strictSame(facts(await Vault.open(folder)), facts(vault), 'a start needs no room')
  await t.rejects(Vault.open(folder, { passphrase: phrase() }), full, 'but sealing does')
  t.strictSame(facts(await Vault.open(folder)), facts(vault), 'and nothing is lost by it')
  t.strictSame(
    filesIn(folder).filter((path) => path.endsWith('.new')),
    [],
  )
  empty()
  await vault.mark(idOf('lease'), 'compromised')
  await vault.generate('server')
  t.strictSame(facts(await Vault.open(folder, { passphrase: phrase() })), facts(vault))
})

t.test('where the last of several files fails, those before are taken back', async (t) => {
  const { folder, vault } = await filled(t, 'lease')
  // A directory where the file of states should go: the last write of three fails.
  const path = join(folder, 'states.json')
  renameSync(path, `${path}.kept`)
  mkdirSync(join(path, 'in the way'), { recursive: true })
  await t.rejects(vault.addPair('lease', made('region.private')), {
    code: 'NOT_WRITABLE',
    message: /states\.json/,
  })
  t.equal(readdirSync(join(folder, 'lease')).length, 2)
  rmSync(path, { recursive: true })
  renameSync(`${path}.kept`, path)
  t.match(await vault.addPair('lease', made('region.private')), { isNew: true }, 'and later ones work')
  t.strictSame(facts(await Vault.open(folder)), facts(vault))
})

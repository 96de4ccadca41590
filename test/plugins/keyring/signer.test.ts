import { constants, verify } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type StoredKey, Vault } from '../../../plugins/keyring/keys/vault.js'
import { BiosCryptoSigner } from '../../../plugins/keyring/sign/bios-crypto.js'
import { NativeSigner } from '../../../plugins/keyring/sign/native.js'
import { digests, type Hash, isSignedBy } from '../../../plugins/keyring/wire/signature.js'
import { until } from '../../support/core/server-process.js'
import { made } from '../../support/keyring/key-files.js'
import { publicOf, xo } from '../../support/keyring/open-keyring.js'
import { good, writeTool } from '../../support/keyring/signing-tool.js'
import { needs } from '../../support/needs.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const text = Buffer.from(`${xo.serial}:${xo.uuid}:K:20300101T000000Z`)

async function vaultWith(t: Test, name: string): Promise<{ vault: Vault; key: StoredKey }> {
  const vault = await Vault.open(join(temporaryDirectorySync(t), 'keys'))
  const { key } = await vault.addPair('lease', made(`${name}.private`))
  return { vault, key }
}

const fits = ({ publicKey }: StoredKey, hash: Hash, signature: string, saltLength: number): boolean =>
  verify(
    digests[hash],
    text,
    { key: publicKey.object, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength },
    Buffer.from(signature, 'hex'),
  )

t.test(
  'this program signs with each hash that laptops know, and a salt of 8 bytes to the byte',
  async (t) => {
    const { vault, key } = await vaultWith(t, 'lease')
    const signer = new NativeSigner(vault)
    for (const hash of ['sha256', 'sha512', 'rmd160'] as const) {
      const signature = await signer.sign(hash, text, key)
      t.match(signature, /^[0-9a-f]{512}$/)
      t.ok(fits(key, hash, signature, 8), `${hash} fits`)
      t.notOk(fits(key, hash, signature, 32), `${hash} has no longer salt`)
    }
  },
)

t.test('a key whose private half is elsewhere does not sign', async (t) => {
  const { vault } = await vaultWith(t, 'lease')
  await vault.add('lease', publicOf('region'))
  const key = vault.find(publicOf('region').id)
  await t.rejects(new NativeSigner(vault).sign('sha256', text, key), { code: 'NOT_FOUND' })
})

/** A tool that ends well, with an invalid signature. */
const lying = `
id=$(tail -c 32 "$2.public" | od -An -v -tx1 | tr -d ' \\n')
echo "sig01: $1 $id ${'5a'.repeat(256)}"`

interface Bench {
  readonly signer: BiosCryptoSigner
  readonly vault: Vault
  readonly key: StoredKey
  /** Where the tools lie, and what they wrote down. */
  readonly tools: string
  readonly scratch: string
}

async function bench(
  t: Test,
  body: string | undefined,
  { name = 'bc-sig01', mode = 0o755 }: { name?: string; mode?: number } = {},
): Promise<Bench> {
  const folder = temporaryDirectorySync(t)
  const tools = join(folder, 'tools')
  const scratch = join(folder, 'signing')
  mkdirSync(tools)
  if (body !== undefined) writeTool(tools, name, body.replaceAll('TOOLS', tools), mode)
  const { vault, key } = await vaultWith(t, 'server')
  return {
    signer: await BiosCryptoSigner.open({ path: tools, scratch, vault, seconds: 5 }),
    vault,
    key,
    tools,
    scratch,
  }
}

t.test(
  'the tools of bios-crypto sign as this program does, and see nothing but files of their own',
  async (t) => {
    if (!needs(t, 'openssl', 'openssl') || !needs(t, 'bash', 'bash')) return
    const noting = `
echo "$*" >> TOOLS/words
stat -c %a "$(dirname "$2")" "$2.private" >> TOOLS/modes
env | sort >> TOOLS/environment`
    const { signer, key, tools, scratch } = await bench(t, noting + good)
    t.equal(signer.obstacle, undefined)
    t.strictSame(readdirSync(scratch), [], 'nothing is left')
    for (const hash of ['sha256', 'rmd160'] as const) {
      const signature = await signer.sign(hash, text, key)
      t.ok(isSignedBy(key.publicKey, { hash, key: key.publicKey.id, signature }, text), hash)
    }
    t.strictSame(readdirSync(scratch), [])
    const words = readFileSync(join(tools, 'words'), 'utf8')
    t.match(
      words,
      /^(?:(?:sha256|rmd160) \/\S+\/key\n){3}$/,
      'a hash and the name of a key, and nothing else',
    )
    t.match(readFileSync(join(tools, 'modes'), 'utf8'), /^(?:700\n600\n){3}$/)
    t.notMatch(readFileSync(join(tools, 'environment'), 'utf8'), xo.uuid)
  },
)

t.test('several signatures at a time do not disturb one another', async (t) => {
  if (!needs(t, 'openssl', 'openssl') || !needs(t, 'bash', 'bash')) return
  const { signer, key, scratch } = await bench(t, good)
  const signatures = await Promise.all(Array.from({ length: 6 }, () => signer.sign('sha256', text, key)))
  for (const signature of signatures) t.ok(fits(key, 'sha256', signature, 8))
  t.strictSame(readdirSync(scratch), [])
})

t.test('the names of older packages, and of a fresh build, are found too', async (t) => {
  if (!needs(t, 'openssl', 'openssl') || !needs(t, 'bash', 'bash')) return
  for (const name of ['obc-sig01', 'sig01'])
    t.equal((await bench(t, good, { name })).signer.obstacle, undefined, name)
})

t.test('a build that ends well with invalid signatures is caught before it signs anything', async (t) => {
  const { signer } = await bench(t, lying)
  t.match(signer.obstacle, /its signature is invalid, as those of 64-bit builds are.*keyring-driver = native/)
})

t.test('a tool that hangs is ended, with all that it started', async (t) => {
  const folder = temporaryDirectorySync(t)
  const { vault } = await vaultWith(t, 'server')
  writeTool(folder, 'bc-sig01', `sleep 1000 &\necho $! > ${folder}/pid\nwait`)
  const scratch = join(folder, 'signing')
  const signer = await BiosCryptoSigner.open({ path: folder, scratch, vault, seconds: 1 })
  t.match(signer.obstacle, /bc-sig01 did not end within 1 s/)
  const pid = readFileSync(join(folder, 'pid'), 'utf8').trim()
  await until(() => !isRunning(pid), 'what the tool started to be gone')
  t.strictSame(readdirSync(scratch), [], 'and the key with it')
})

function isRunning(pid: string): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

t.test('a tool that is missing, fails or talks nonsense is said, with what to do', async (t) => {
  const stories: [name: string, body: string | undefined, says: RegExp, mode?: number][] = [
    ['missing', undefined, /none of bc-sig01, obc-sig01, sig01 is in /],
    [
      'failing',
      'echo "out of \x1b[31mluck" >&2; exit 3',
      /bc-sig01 ended with exit code 3: out of \\u001b\[31mluck/,
    ],
    ['killed', 'kill -9 $$', /bc-sig01 ended with SIGKILL/],
    ['silent', 'exit 0', /did not answer with a sig01 of the key/],
    ['talkative', 'head -c 1000000 /dev/zero', /did not answer with a sig01 of the key/],
    ['no program', good, /bc-sig01 is no program/, 0o644],
    ['open to all', good, /bc-sig01 can be changed by everybody/, 0o757],
  ]
  for (const [name, body, says, mode] of stories) {
    const { signer } = await bench(t, body, mode === undefined ? {} : { mode })
    t.match(signer.obstacle, says, name)
    t.match(signer.obstacle, /set keyring-driver = native/)
  }
})

const installed = ['/usr/bin/bc-sig01', '/usr/bin/obc-sig01'].find((file) => existsSync(file))
if (installed !== undefined) {
  t.test('the real tools sign, or it is said why not', async (t) => {
    const { vault, key } = await vaultWith(t, 'server')
    const scratch = join(temporaryDirectorySync(t), 'signing')
    const signer = await BiosCryptoSigner.open({ path: '/usr/bin', scratch, vault })
    if (signer.obstacle !== undefined) t.match(signer.obstacle, /64-bit builds/)
    else t.ok(fits(key, 'sha256', await signer.sign('sha256', text, key), 8))
  })
}

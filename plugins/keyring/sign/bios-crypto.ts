import { generateKeyPair } from 'node:crypto'
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { asError, systemCode } from '../../../core/api.js'
import type { StoredKey, Vault } from '../keys/vault.js'
import { PublicKey } from '../wire/key.js'
import { type Hash, isSignedBy } from '../wire/signature.js'
import type { Signer } from './signer.js'
import { runTool } from './tool.js'

const hint = 'mend that and start again, or set keyring-driver = native'

/** Names of the one tool that is used: as installed now, as installed once, as built. */
const names = ['bc-sig01', 'obc-sig01', 'sig01']

/** Bytes of the longest path that the tool has room for, with `.private` behind it. */
const longestPath = 255 - '.private'.length

export interface Tools {
  /** Option `bios-crypto-path`. */
  readonly path: string
  /** A folder of this server's own, for key files while a signature is made. */
  readonly scratch: string
  readonly vault: Pick<Vault, 'privateDer'>
  /** Seconds that one signature may take. */
  readonly seconds?: number
}

/**
 * Signs with the tools of bios-crypto: `sig01 HASH KEYNAME`, the text on its standard input, the line `sig01: ...` on
 * its standard output (docs/reference/protocols.md: Anti-theft, The tools).
 */
export class BiosCryptoSigner implements Signer {
  readonly name = 'bios-crypto'
  readonly places = 2
  readonly #tools: Tools
  #program = ''
  #obstacle: string | undefined

  private constructor(tools: Tools) {
    this.#tools = tools
  }

  /** Looks for the tool, and has it sign for a trial. What is wrong is an obstacle, and nothing is thrown. */
  static async open(tools: Tools): Promise<BiosCryptoSigner> {
    const signer = new BiosCryptoSigner(tools)
    try {
      await signer.#prepare()
      await signer.#rehearse()
    } catch (error) {
      signer.#obstacle = `bios-crypto cannot sign: ${asError(error).message}; ${hint}`
    }
    return signer
  }

  get obstacle(): string | undefined {
    return this.#obstacle
  }

  async sign(hash: Hash, payload: Buffer, { publicKey }: StoredKey): Promise<string> {
    const privateDer = this.#tools.vault.privateDer(publicKey.id)
    try {
      return await this.#run(hash, payload, publicKey, privateDer)
    } finally {
      privateDer.fill(0)
    }
  }

  async #prepare(): Promise<void> {
    const { path, scratch } = this.#tools
    this.#program = await findTool(path)
    await mkdir(scratch, { recursive: true, mode: 0o700 })
    if (Buffer.byteLength(join(scratch, 'XXXXXX', 'key')) > longestPath)
      throw new Error(`the path ${scratch} is too long for its tools`)
  }

  /** With a key that nobody has: builds for 64 bits end well and sign wrongly. */
  async #rehearse(): Promise<void> {
    const pair = await promisify(generateKeyPair)('rsa', {
      modulusLength: 2048,
      publicExponent: 65537,
      publicKeyEncoding: { type: 'pkcs1', format: 'der' },
      privateKeyEncoding: { type: 'pkcs1', format: 'der' },
    })
    const key = PublicKey.parse(pair.publicKey)
    const text = Buffer.from('a text that is signed for a trial')
    const signature = await this.#run('sha256', text, key, pair.privateKey)
    if (!isSignedBy(key, { hash: 'sha256', key: key.id, signature }, text)) {
      throw new Error(
        `${this.#program} ended well, but its signature is invalid, as those of 64-bit builds are; build it for 32 bits`,
      )
    }
  }

  async #run(hash: Hash, payload: Buffer, key: PublicKey, privateDer: Uint8Array): Promise<string> {
    const folder = await mkdtemp(join(this.#tools.scratch, '/'))
    try {
      const name = join(folder, 'key')
      await writeFile(`${name}.private`, privateDer, { mode: 0o600, flag: 'wx' })
      await writeFile(`${name}.public`, key.der, { mode: 0o600, flag: 'wx' })
      const said = await runTool({
        program: this.#program,
        args: [hash, name],
        input: payload,
        folder,
        seconds: this.#tools.seconds ?? 20,
      })
      const [, signature] = new RegExp(`^sig01: ${hash} ${key.id} ([0-9a-f]{512})\n$`).exec(said) ?? []
      if (signature === undefined) throw new Error(`${this.#program} did not answer with a sig01 of the key`)
      return signature
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** @throws Error that says what is missing */
async function findTool(folder: string): Promise<string> {
  for (const name of names) {
    const file = join(folder, name)
    const found = await stat(file).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
      throw error
    })
    if (found === undefined) continue
    if (!found.isFile() || (found.mode & 0o111) === 0) throw new Error(`${file} is no program`)
    // It is given private keys.
    if ((found.mode & 0o002) !== 0) throw new Error(`${file} can be changed by everybody`)
    return file
  }
  throw new Error(`none of ${names.join(', ')} is in ${folder}`)
}

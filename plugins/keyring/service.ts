import { join } from 'node:path'
import { asError, type Chapter, type Context, removeTree, type Story } from '../../core/api.js'
import { Audit } from './audit/audit.js'
import { built } from './clock/built.js'
import { ClockGuard } from './clock/guard.js'
import { HeldDelegations } from './delegations/held.js'
import { Issuer } from './delegations/issue.js'
import { PendingFile } from './delegations/pending.js'
import { keyringDirectory } from './directory.js'
import type { collections } from './documents.js'
import { SchoolKeyring } from './keyring.js'
import { readPassphrase } from './keys/passphrase.js'
import { Vault } from './keys/vault.js'
import type { options } from './options.js'
import type { Keyring } from './public.js'
import { BiosCryptoSigner } from './sign/bios-crypto.js'
import { Grounds } from './sign/ground.js'
import { NativeSigner } from './sign/native.js'
import { Notary } from './sign/notary.js'
import { Records } from './sign/records.js'
import { chapterOf, statusOf } from './status.js'
import { parseSerial } from './wire/laptop.js'

type None = Record<never, never>
export type KeyringContext = Pick<
  Context<typeof options, None, None, typeof collections, None>,
  'config' | 'log' | 'store' | 'on' | 'every' | 'defer' | 'health'
>

const hour = 3600
const day = 24 * hour

/** The parts of the keyring, put together. */
export class Service {
  readonly config: KeyringContext['config']
  readonly vault: Vault
  readonly audit: Audit
  readonly guard: ClockGuard
  readonly held: HeldDelegations
  readonly grounds: Grounds
  readonly notary: Notary
  readonly records: Records
  readonly issuer: Issuer
  readonly keyring: Keyring
  /** What is wrong with the audit log, if anything. */
  #auditFault: string | undefined

  /** @throws SystemError when keys, audit log or delegations cannot be read */
  static async open(ctx: KeyringContext, now = () => new Date()): Promise<Service> {
    const { config, log } = ctx
    const directory = keyringDirectory.guard(config)
    const folder = directory.path
    const scratch = join(folder, 'signing')
    // A server that was killed while bios-crypto signed left a private key there. Before all that may fail.
    await removeTree(scratch)
    const file = config['keyring-passphrase-file']
    const vault = await Vault.open(join(folder, 'keys'), {
      passphrase: file === '' ? undefined : await readPassphrase(file),
      check: () => directory.check(),
    })
    // No key comes without a line of it.
    const audit = await Audit.open(join(folder, 'audit'), { now, isBegun: vault.list().length > 0 })
    ctx.defer(() => audit.close())
    for (const repair of audit.repairs) log.warn(repair)
    const guard = await ClockGuard.open({
      file: join(folder, 'clock.json'),
      built,
      newest: () => audit.newest(),
      synchronised: config['keyring-synchronised'],
      now,
    })
    const held = await HeldDelegations.open(
      ctx.store.delegations,
      new PendingFile(join(folder, 'delegations.pending')),
      log,
    )
    const signer =
      config['keyring-driver'] === 'native'
        ? new NativeSigner(vault)
        : await BiosCryptoSigner.open({
            path: config['bios-crypto-path'],
            scratch,
            vault,
          })
    const notary = new Notary({ signer, audit, guard, log, away: () => directory.problem()?.message })
    return new Service(ctx, { vault, audit, guard, held, notary })
  }

  private constructor(
    ctx: KeyringContext,
    { vault, audit, guard, held, notary }: Pick<Service, 'vault' | 'audit' | 'guard' | 'held' | 'notary'>,
  ) {
    this.config = ctx.config
    this.vault = vault
    this.audit = audit
    this.guard = guard
    this.held = held
    this.notary = notary
    this.grounds = new Grounds(vault, held)
    this.records = new Records(notary, this.grounds, vault)
    this.issuer = new Issuer(ctx.store.issued, this.records, this.grounds, () => guard.now())
    this.keyring = new SchoolKeyring(this)
    ctx.health('keys', () => vault.warnings(this.config['keyring-role']).join('; ') || undefined)
    ctx.health('clock', () => guard.obstacle())
    ctx.health('driver', () => notary.driver.obstacle)
    ctx.health('signatures', () => notary.trouble)
    ctx.health('audit log', () => this.#auditFault)
    ctx.on('ready', async () => {
      await this.#saw(ctx)
      await this.#readAudit(ctx)
      ctx.every(hour, () => this.#saw(ctx))
      ctx.every(day, () => this.#readAudit(ctx))
    })
  }

  status(): Promise<Chapter> {
    return statusOf(this)
  }

  async explain(wanted: string): Promise<Partial<Story> | undefined> {
    const serial = parseSerial(wanted.trim())
    const chapter = serial === undefined ? undefined : chapterOf(this, serial)
    return chapter === undefined ? undefined : { keyring: chapter }
  }

  async #saw({ config }: KeyringContext): Promise<void> {
    if (keyringDirectory.guard(config).problem() === undefined) await this.guard.saw(this.guard.now())
  }

  async #readAudit({ log }: KeyringContext): Promise<void> {
    try {
      const { broken } = await this.audit.check()
      this.#auditFault =
        broken && `the audit log is not as it was written: ${broken.says}; see "keyring audit --check"`
    } catch (error) {
      this.#auditFault = `the audit log cannot be read: ${asError(error).message}`
    }
    if (this.#auditFault !== undefined) log.error(this.#auditFault)
  }
}

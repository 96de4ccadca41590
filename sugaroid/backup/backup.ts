import { setTimeout } from 'node:timers/promises'
import { HomeError } from '../errors.js'
import { isDirectory } from '../files.js'
import { digestJournal } from '../journal/digest.js'
import { datastoreOf } from '../journal/layout.js'
import { findPrograms } from '../programs.js'
import { type Account, openAccount } from './account.js'
import { sendLegacy } from './legacy.js'
import { type Answer, askPermission, pathBySerial, pathByUuid } from './question.js'
import { remotePath, remoteShell, runRsync } from './transfer.js'

export interface BackupOptions {
  /** `HOST[:HTTPPORT]` in place of what registration left behind. */
  readonly server?: string | undefined
  /** Behave as the client of OLPC XS. */
  readonly legacy?: boolean | undefined
  /** Tell the Journal's digest when asking, so that an unchanged one need not be sent; true when not given. */
  readonly digest?: boolean | undefined
  /** Seconds to wait altogether for a busy server; 600 when not given. */
  readonly patience?: number | undefined
  /** Told before each wait. */
  readonly waiting?: ((seconds: number) => void) | undefined
  /** Waits for so many milliseconds; a test has a faster one. */
  readonly sleep?: ((milliseconds: number) => Promise<unknown>) | undefined
}

/** The Journal is on the server. */
export interface Sent {
  readonly outcome: 'sent'
  /** The names by which the server knows what was sent. */
  readonly parts: readonly string[]
  /** The old client stopped early for want of this directory. */
  readonly missing?: string
  /** What the server had to say, most often nothing. */
  readonly said: string
}

export type Backup =
  | Sent
  /** Still busy when patience ended: after so many seconds, it wanted so many more. */
  | { readonly outcome: 'busy'; readonly waited: number; readonly seconds?: number }
  | Exclude<Answer, { readonly outcome: 'go' | 'busy' }>
  /** rsync or ssh failed; `code` is rsync's, 255 ssh's. */
  | { readonly outcome: 'failed'; readonly code: number; readonly said: string }

/**
 * Seconds the old client waits, one after the other, before it gives up for the day; it reads no header. Others do
 * so when the server names no time.
 */
const pauses = [2, 4, 8, 16, 32, 64].map((minutes) => minutes * 60)

const defaultPatience = 600

/** Asks until the server says anything but "later"; undefined when it may be sent. */
async function permission(
  home: string,
  { place, serial, uuid }: Account,
  options: BackupOptions,
): Promise<Backup | undefined> {
  const { legacy = false, digest = true, patience = defaultPatience, sleep = setTimeout } = options
  const journal = digest && !legacy ? await digestJournal(datastoreOf(home)) : undefined
  const path = legacy ? pathBySerial(serial) : pathByUuid(uuid, journal?.sha256)
  let waited = 0
  for (let asked = 0; ; asked++) {
    const answer = await askPermission(place.http, path)
    if (answer.outcome === 'go') return undefined
    if (answer.outcome !== 'busy') return answer
    const named = legacy ? undefined : answer.seconds
    const seconds = named === undefined ? pauses[asked] : Math.max(1, named)
    if (seconds === undefined || waited + seconds > patience) {
      return { outcome: 'busy', waited, ...(seconds === undefined ? {} : { seconds }) }
    }
    options.waiting?.(seconds)
    await sleep(seconds * 1000)
    waited += seconds
  }
}

async function send(home: string, account: Account): Promise<Backup> {
  const { place } = account
  const to = `${place.user}@${remotePath(account, place.path)}`
  const options = ['-rlt', '-p', '--delete', '--partial', '--timeout=160', '-e', remoteShell(account)]
  const { code, said } = await runRsync(home, [...options, 'default/datastore/', to])
  return code === 0 ? { outcome: 'sent', parts: [place.path], said } : { outcome: 'failed', code, said }
}

async function sendAsOld(home: string, account: Account): Promise<Backup> {
  const { code, said, sent, missing } = await sendLegacy(home, account)
  if (code !== 0) return { outcome: 'failed', code, said }
  return { outcome: 'sent', parts: sent, said, ...(missing === undefined ? {} : { missing }) }
}

/**
 * Backs up the Journal of the laptop in `home` as Sugar does: asks the server, waits where it must, sends with rsync
 * over ssh. Throws a HomeError for a laptop without registration or Journal, a MissingProgram without rsync or ssh.
 */
export async function backUp(home: string, options: BackupOptions = {}): Promise<Backup> {
  await findPrograms()
  const account = await openAccount(home, options.server)
  if (!(await isDirectory(datastoreOf(home)))) {
    throw new HomeError(`there is no Journal in ${home}`, 'make one: "sugaroid journal --entries 100"')
  }
  const denied = await permission(home, account, options)
  if (denied) return denied
  return options.legacy ? sendAsOld(home, account) : send(home, account)
}

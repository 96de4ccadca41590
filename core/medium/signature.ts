import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { RequestError, SystemError, systemCode } from '../errors.js'

/** Bytes that a detached signature may have: several people's, with notations. */
export const largestSignature = 64 * 1024

/** Characters kept of what gpgv says. */
const longestAnswer = 64 * 1024

/** Milliseconds that gpgv may take. */
const patience = 20_000

/** What is checked, and by what. */
export interface Signed {
  readonly content: Buffer
  readonly signature: Buffer
  /** Binary public keys, as readKeyring() gives them. */
  readonly keys: Buffer
  /** Path of the signature, for errors. */
  readonly path: string
}

/**
 * Sees that a detached signature is by one of the keys; where several have signed, each must be known and good. gpgv is
 * given copies: what it checked is what the caller has, whatever becomes of the stick.
 * @throws RequestError REFUSED
 * @throws SystemError PROGRAM_MISSING without gpgv; UNAVAILABLE when it takes longer than `limit` milliseconds
 */
export async function checkSignature(signed: Signed, signal?: AbortSignal, limit = patience): Promise<void> {
  const gpgv = await findGpgv()
  const folder = await mkdtemp(join(tmpdir(), 'sugar-gpgv-'))
  try {
    const copy = async (name: 'keys' | 'signature' | 'content') => {
      const path = join(folder, name)
      await writeFile(path, signed[name], { mode: 0o600, flag: 'wx' })
      return path
    }
    const options = ['--homedir', folder, '--status-fd', '1', '--keyring', await copy('keys')]
    const answer = await run(gpgv, [...options, '--', await copy('signature'), await copy('content')], {
      limit,
      signal,
    })
    judge(answer, signed.path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface Answer {
  readonly code: number | null
  /** What gpgv says of the signature, in words for programs: GnuPG's doc/DETAILS. */
  readonly status: string
  /** What it says to people. */
  readonly said: string
}

function run(
  program: string,
  args: readonly string[],
  { limit, signal }: { limit: number; signal: AbortSignal | undefined },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      killSignal: 'SIGKILL',
      ...(signal && { signal }),
    })
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      child.kill('SIGKILL')
    }, limit)
    const [status, said] = [child.stdout, child.stderr].map((stream) => {
      const heard = { text: '' }
      stream.setEncoding('utf8').on('data', (text: string) => {
        heard.text = (heard.text + text).slice(0, longestAnswer)
      })
      return heard
    }) as [{ text: string }, { text: string }]
    let failure: Error | undefined
    child.once('error', (error) => {
      failure = error
    })
    child.once('close', (code) => {
      clearTimeout(timer)
      if (failure !== undefined) reject(signal?.aborted === true ? signal.reason : unfit(program, failure))
      else if (isLate) reject(late(limit))
      else resolve({ code, status: status.text, said: said.text })
    })
  })
}

const late = (limit: number): SystemError =>
  new SystemError('UNAVAILABLE', `gpgv did not check the signature within ${limit / 1000} s`, {
    hint: 'see what keeps this machine busy, and try again',
  })

const unfit = (program: string, cause: Error): SystemError =>
  new SystemError(
    'PROGRAM_MISSING',
    `${program}, which checks signatures, cannot be run (${systemCode(cause)})`,
    {
      hint: 'install the package gpgv anew: apt-get install --reinstall gpgv',
      cause,
    },
  )

/** What gpgv's words mean, the most telling first. For a key that expired or was revoked its exit code is 0. */
const verdicts = [
  ['REVKEYSIG', 'is by a key that has been revoked'],
  ['EXPKEYSIG', 'is by a key that has expired'],
  ['EXPSIG', 'has expired'],
  ['BADSIG', 'is not of this manifest, or one of both has been changed'],
  ['NO_PUBKEY', 'is by a key that is not among the known ones'],
  // It goes with NO_PUBKEY, too. Alone, the clock of this machine may be behind the making of the key.
  ['ERRSIG', 'cannot be checked'],
] as const

/** @throws RequestError REFUSED unless every signature is good */
function judge({ code, status, said }: Answer, path: string): void {
  const facts = status.split('\n').map((line) => /^\[GNUPG:\] ([A-Z_]+)(?: ([0-9A-F]+))?/.exec(line) ?? [])
  const words = new Map(facts.map(([, word = '', id = '']) => [word, id]))
  // From GnuPG 2.4 on it says so, too, of a key that it has and may not use, as one that is made tomorrow by this clock.
  const unknown = words.get('NO_PUBKEY')
  const isKept = facts.some(
    ([, word, id]) => word === 'KEY_CONSIDERED' && id?.endsWith(unknown ?? '') === true,
  )
  if (unknown !== undefined && isKept) words.delete('NO_PUBKEY')
  const [word, reason] = verdicts.find(([bad]) => words.has(bad)) ?? [
    undefined,
    'is not a detached signature',
  ]
  if (code === 0 && word === undefined && words.has('GOODSIG') && words.has('VALIDSIG')) return
  const isClear = word !== undefined && word !== 'ERRSIG'
  const detail = isClear
    ? `key ${words.get(word)}`
    : said.trim().split('\n').slice(-2).join('; ').slice(0, 300)
  throw new RequestError('REFUSED', `${path} ${reason} (${detail})`, {
    hint: 'have it signed by one of the known keys: gpg --detach-sign manifest.sha1; or add the key to security-keys',
  })
}

/** @throws SystemError PROGRAM_MISSING */
async function findGpgv(): Promise<string> {
  for (const folder of (process.env.PATH ?? '').split(':').filter(isAbsolute)) {
    const path = join(folder, 'gpgv')
    try {
      await access(path, constants.X_OK)
      return path
    } catch {
      // Not here.
    }
  }
  throw new SystemError('PROGRAM_MISSING', 'the program gpgv, which checks signatures, is not installed', {
    hint: 'install the package gpgv: apt-get install gpgv',
  })
}

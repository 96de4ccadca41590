import { randomInt } from 'node:crypto'
import { askOats, type OatsReply } from '../antitheft/deterrence.js'
import { clockOf, keysOf, laptopOptions, patienceOf, serialOf, uuidOf } from '../antitheft/laptop-options.js'
import { checkLease } from '../antitheft/lease.js'
import { judgeOats, type OatsContent } from '../antitheft/oats.js'
import type { Rejected, Verdict } from '../antitheft/verdict.js'
import { defineCommand } from '../command.js'
import { exit } from '../exit.js'
import { ports } from '../laptop.js'
import { type Report, report, reportJson } from '../report.js'
import { authority, parseServer } from '../server.js'

interface Told extends OatsContent {
  readonly outcome: 'answered' | 'unchecked'
  readonly reason: string
  /** Of the lease in the answer, when there is one and a key to check it with. */
  readonly leaseVerdict?: Verdict
}

/** What the laptop learns. */
type Turn = Exclude<OatsReply, { outcome: 'answered' }> | Told | (Rejected & { readonly outcome: 'refused' })

function exitCode(turn: Turn): number {
  switch (turn.outcome) {
    case 'unreachable':
      return exit.UNAVAILABLE
    case 'denied':
      return exit.NOPERM
    case 'busy':
      return exit.TEMPFAIL
    case 'refused':
    case 'broken':
      return exit.PROTOCOL
    default:
      return (turn.leaseVerdict?.verdict ?? 'valid') === 'valid' ? exit.OK : exit.PROTOCOL
  }
}

function describeLease({ lease, leaseVerdict }: Told): Pick<Report, string> {
  if (lease === undefined) return { lease: 'none: the laptop keeps the one it has' }
  if (!leaseVerdict) return { lease, 'lease is': 'not checked: --lease-key checks it' }
  const { verdict, reason } = leaseVerdict
  return {
    lease,
    'lease is': `${verdict}: ${reason}`,
    'lease expires': verdict === 'valid' ? leaseVerdict.expiry : undefined,
  }
}

function describe(turn: Turn): Report {
  switch (turn.outcome) {
    case 'answered':
    case 'unchecked': {
      const checked = turn.outcome === 'answered'
      const hints = Object.entries(turn.hints).map(([name, hint]) => `${name} ${JSON.stringify(hint)}`)
      return {
        title: checked
          ? 'The laptop takes the answer.'
          : 'The server answered; the signature was not checked.',
        time: turn.time,
        ...describeLease(turn),
        stolen: turn.stolen ? 'yes: the laptop locks itself' : 'no',
        hints: hints.length > 0 ? hints.join(', ') : 'none',
        because: turn.reason,
        advice: checked ? undefined : 'check it with --key, the public key of theft deterrence',
      }
    }
    case 'refused':
      return {
        title: 'The laptop refuses the answer.',
        verdict: turn.verdict,
        because: turn.reason,
        advice: 'check that --key is the key of theft deterrence that the laptop knows',
      }
    case 'denied':
      return {
        title: 'The server refuses to answer.',
        status: String(turn.status),
        'server says': turn.text,
        advice:
          'check the serial, and that the server runs activation and has a key or a delegation of OATS for it',
      }
    case 'busy':
      return {
        title: 'The server does not answer now.',
        status: String(turn.status),
        'server says': turn.text,
        'come back in': turn.seconds === undefined ? undefined : `${turn.seconds} s`,
        advice: 'try again later',
      }
    case 'broken':
      return {
        title: 'The answer makes no sense.',
        because: turn.cause.message,
        advice: 'check that --server is the httpd-port of a school server with activation',
      }
    default:
      return {
        title: 'The server does not answer.',
        because: turn.cause.message,
        advice: 'check that the school server runs, and that --server is its httpd-port',
      }
  }
}

export const command = defineCommand({
  summary: 'ask for news of theft deterrence over HTTP (OATS), as a running laptop does',
  options: {
    server: { value: 'HOST[:PORT]', help: `the school server (default: schoolserver, port ${ports.rest})` },
    ...laptopOptions,
    key: {
      value: 'FILE[,FILE...]',
      help: 'the public keys of OATS that the laptop knows; checks the answer',
    },
    'lease-key': { value: 'FILE[,FILE...]', help: 'the public keys of leases; checks a lease in the answer' },
    uuid: { value: 'UUID', help: 'with --lease-key; others here can see it (default: of the XO in --home)' },
  },
  async run(given, terminal) {
    const server = parseServer(given.server ?? 'schoolserver', ports.rest)
    const serial = await serialOf(given)
    const now = clockOf(given)
    const keys = await keysOf(given.key)
    const leaseKeys = await keysOf(given['lease-key'])
    const locked = leaseKeys.length > 0 && { serial, uuid: await uuidOf(serial, given), keys: leaseKeys, now }
    const nonce = String(randomInt(1e10)).padStart(10, '0')

    const judge = ({ answer }: Extract<OatsReply, { outcome: 'answered' }>): Turn => {
      const verdict = judgeOats(answer, { serial, keys, now }, nonce)
      // Without a key no signature is by one that is known; all else is checked nevertheless.
      const unchecked = keys.length === 0 && verdict.verdict === 'no-match'
      if (verdict.verdict !== 'valid' && !unchecked) return { outcome: 'refused', ...verdict }
      const { signed, signatures, ...content } = answer
      const { lease } = content
      return {
        outcome: unchecked ? 'unchecked' : 'answered',
        reason: verdict.reason,
        ...content,
        ...(locked && lease !== undefined ? { leaseVerdict: checkLease(lease, locked) } : {}),
      }
    }

    const reply = await askOats({ serial, nonce }, { server, timeout: patienceOf(given) })
    const turn = reply.outcome === 'answered' ? judge(reply) : reply
    if (given.json) reportJson(terminal, { server, serial, ...turn })
    else report(terminal, { server: authority(server), serial, ...describe(turn) })
    return exitCode(turn)
  },
})

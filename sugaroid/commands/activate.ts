import { randomInt } from 'node:crypto'
import { activationPort, askForLease, askForRtcReset, type LeaseAnswer } from '../antitheft/activation.js'
import { clockOf, keysOf, laptopOptions, patienceOf, serialOf, uuidOf } from '../antitheft/laptop-options.js'
import { checkLease } from '../antitheft/lease.js'
import { type Moment, never } from '../antitheft/moment.js'
import { checkRtcReset, type RtcRequest } from '../antitheft/rtc-reset.js'
import type { Rejected, Valid } from '../antitheft/verdict.js'
import { defineCommand } from '../command.js'
import { HomeError } from '../errors.js'
import { exit } from '../exit.js'
import { replaceFile } from '../files.js'
import { type Report, report, reportJson } from '../report.js'
import { authority, parseServer } from '../server.js'

/** What the laptop does with the answer. */
type Activation =
  | Exclude<LeaseAnswer, { outcome: 'answered' }>
  | { readonly outcome: 'unchecked'; readonly text: string }
  | (Valid & { readonly outcome: 'activated'; readonly text: string; readonly time?: Moment })
  | (Rejected & { readonly outcome: 'refused'; readonly text: string })

const exits = {
  activated: exit.OK,
  unchecked: exit.OK,
  stolen: exit.NOPERM,
  unknown: exit.NOPERM,
  refused: exit.PROTOCOL,
  broken: exit.PROTOCOL,
  unreachable: exit.UNAVAILABLE,
} as const

function describe(activation: Activation): Report {
  switch (activation.outcome) {
    case 'activated': {
      const { reason, expiry, time } = activation
      return {
        title: time === undefined ? 'The laptop starts.' : 'The laptop sets its clock.',
        time,
        expires: expiry === never ? 'never' : expiry,
        because: reason,
      }
    }
    case 'unchecked':
      return {
        title: 'The server answered; whether a laptop takes the answer was not checked.',
        answer: activation.text,
        advice: 'check it with --key, the public key that the laptop knows',
      }
    case 'stolen':
      return {
        title: 'The server says that the laptop is stolen: it locks itself.',
        advice: 'if it is not, the school has to take it off its list of stolen laptops',
      }
    case 'unknown':
      return {
        title: 'The server has nothing for this laptop: it does not start.',
        advice: 'check the serial, and that the server has a lease or a delegation for it',
      }
    case 'refused':
      return {
        title: 'The laptop refuses the answer: it does not start.',
        verdict: activation.verdict,
        because: activation.reason,
        advice: 'look at the answer: --save FILE keeps it',
      }
    case 'broken':
      return {
        title: 'The answer makes no sense.',
        because: activation.cause.message,
        advice: 'check that what listens there is the activation of a school server',
      }
    default:
      return {
        title: 'The server does not answer.',
        because: activation.cause.message,
        advice: 'check --server, and that its activation runs; it takes root to listen on port 191',
      }
  }
}

async function keep(file: string, text: string): Promise<void> {
  await replaceFile(file, text).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new HomeError(`the answer cannot be kept: ${why}`, 'name a file that can be written with --save')
  })
}

export const command = defineCommand({
  summary: 'ask for a lease over TCP, as a laptop with security on does when it starts',
  options: {
    server: {
      value: 'HOST[:PORT]',
      help: `the school server (default: schoolserver, port ${activationPort})`,
    },
    ...laptopOptions,
    uuid: { value: 'UUID', help: "the laptop's uuid, visible to others here (default: of the XO in --home)" },
    key: {
      value: 'FILE[,FILE...]',
      help: 'the public keys of leases that the laptop knows; checks the answer',
    },
    rtcreset: { help: "ask for a new time for the laptop's clock in place of a lease" },
    save: { value: 'FILE', help: 'keep the answer in a file, as a stick has it in lease.sig' },
  },
  async run(given, terminal) {
    const { rtcreset, save } = given
    const server = parseServer(given.server ?? 'schoolserver', activationPort)
    const serial = await serialOf(given)
    const keys = await keysOf(given.key)
    const now = clockOf(given)
    const laptop = keys.length > 0 && { serial, uuid: await uuidOf(serial, given), keys, now }
    const call = { server, timeout: patienceOf(given) }
    const asked: RtcRequest | undefined = rtcreset && {
      clock: now,
      nonce: String(randomInt(1e10)).padStart(10, '0'),
    }
    const answer = await (asked ? askForRtcReset(serial, asked, call) : askForLease(serial, call))
    const judge = ({ text }: { readonly text: string }): Activation => {
      if (!laptop) return { outcome: 'unchecked', text }
      const verdict = asked ? checkRtcReset(text, laptop, asked) : checkLease(text, laptop)
      if (verdict.verdict === 'valid') return { outcome: 'activated', text, ...verdict }
      return { outcome: 'refused', text, ...verdict }
    }
    const activation = answer.outcome === 'answered' ? judge(answer) : answer
    if (save !== undefined && answer.outcome === 'answered') await keep(save, answer.text)
    if (given.json) reportJson(terminal, { server, serial, ...activation })
    else report(terminal, { server: authority(server), serial, ...describe(activation) })
    return exits[activation.outcome]
  },
})

import { randomInt } from 'node:crypto'
import { openAccount } from './backup/account.js'
import { type Backup, backUp } from './backup/backup.js'
import { restoreJournal } from './backup/restore.js'
import { untilSettled } from './backup/settled.js'
import { changeJournal } from './journal/change.js'
import { digestJournal } from './journal/digest.js'
import { differences, type Inventory, takeInventory } from './journal/inventory.js'
import { makeJournal, wipeJournal } from './journal/journal.js'
import { datastoreOf } from './journal/layout.js'
import { registerLaptop } from './laptop.js'
import { leaveServer } from './leave.js'
import { demoSerial } from './machine.js'
import type { Server } from './server.js'

export interface DemoOptions {
  /** Where registration listens. */
  readonly server: Server
  /** Of the Journal. */
  readonly entries: number
  /** Told before each wait for a busy server. */
  readonly waiting?: ((seconds: number) => void) | undefined
  /** Told when the server is still at its snapshot, and that is waited for. */
  readonly settling?: (() => void) | undefined
}

/** Something a laptop does in its day. */
export interface Step {
  readonly name: string
  /** Does it and tells in a few words what happened; throws a StepFailed when the server did not play along. */
  run(): Promise<string>
}

/** A step went otherwise than it must with a sound server. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed'
}

const hostOf = ({ host }: Server): string => (host.includes(':') ? `[${host}]` : host)

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

function failure(backup: Exclude<Backup, { outcome: 'sent' | 'unchanged' }>): string {
  switch (backup.outcome) {
    case 'busy':
      return `the server was still busy after ${backup.waited} s`
    case 'refused':
      return `the server refused: HTTP ${backup.status} ${backup.text}`
    case 'failed':
      return `rsync ended with ${backup.code}: ${backup.said}`
    default:
      return backup.cause.message
  }
}

/** Takes the laptop's learner away from the server again, with its backups: the last step, for who does not keep it. */
export function farewell(home: string, server: Server): Step {
  return {
    name: 'leave',
    async run() {
      const { identity, place, uuid } = await openAccount(home, hostOf(server))
      const leave = await leaveServer(place.http, identity.uid, uuid)
      if (leave.outcome === 'left') return 'the server has nothing of this learner any more'
      const otherwise = `an operator removes the learner: id remove ${identity.uid}`
      if (leave.outcome === 'unknown') return `this server cannot take the learner away; ${otherwise}`
      throw new StepFailed(`${leave.error}; ${otherwise}`)
    },
  }
}

/**
 * A laptop's day against a running server, as steps to be taken in order: register, make a Journal, back it up,
 * change it, back it up twice (the second time there is nothing to send), lose all, restore, compare.
 * @param home a directory of its own, empty at first
 */
export function laptopsDay(home: string, { server, entries, waiting, settling }: DemoOptions): Step[] {
  const datastore = datastoreOf(home)
  let before: Inventory = new Map()

  const at = { server: hostOf(server) }
  const backup = async (expected: 'sent' | 'unchanged'): Promise<string> => {
    // The name that the school has for its server need not be known here.
    const result = await backUp(home, { ...at, waiting })
    if (result.outcome !== 'sent' && result.outcome !== 'unchanged') throw new StepFailed(failure(result))
    if (result.outcome !== expected) {
      const odd =
        expected === 'sent' ? 'says that it has it already' : 'wants it again, though nothing changed'
      throw new StepFailed(`the server ${odd}`)
    }
    const { files, bytes } = await digestJournal(datastore)
    const done = expected === 'sent' ? 'sent' : 'not sent: the server has it already'
    return `${files} files, ${megabytes(bytes)} ${done}`
  }

  return [
    {
      name: 'register',
      async run() {
        const { identity, result } = await registerLaptop(home, {
          server,
          serial: demoSerial(),
          nick: 'Demo',
        })
        if (result.outcome === 'registered') return `known to the server as ${identity.uid}`
        const why = result.outcome === 'refused' ? result.error : result.cause.message
        throw new StepFailed(`${result.message ?? 'the answer makes no sense'} (${why})`)
      },
    },
    {
      name: 'make a Journal',
      async run() {
        const made = await makeJournal(datastore, { entries, seed: String(randomInt(2 ** 32)) })
        return `${made.entries} entries, ${megabytes(made.bytes)} of data`
      },
    },
    { name: 'back up', run: () => backup('sent') },
    {
      name: 'a day at school',
      async run() {
        const { renamed, rewritten, added, removed } = await changeJournal(datastore, { percent: 10 })
        return `${renamed} entries renamed, ${rewritten} rewritten, ${added} added, ${removed} removed`
      },
    },
    { name: 'back up', run: () => backup('sent') },
    {
      name: 'back up again',
      async run() {
        // The snapshot is taken while laptops go on, and only then the server knows that it has this Journal.
        if ((await untilSettled(home, { ...at, waiting: settling })) === undefined)
          throw new StepFailed('the server has not taken its snapshot of the Journal in five minutes')
        return backup('unchanged')
      },
    },
    {
      name: 'lose all',
      async run() {
        before = await takeInventory(datastore)
        await wipeJournal(datastore)
        return 'the Journal is gone, the key stays'
      },
    },
    {
      name: 'restore',
      async run() {
        const result = await restoreJournal(home, at)
        if (result.outcome === 'failed')
          throw new StepFailed(`rsync ended with ${result.code}: ${result.said}`)
        const { files, bytes } = await digestJournal(datastore)
        return `${files} files, ${megabytes(bytes)} are back`
      },
    },
    {
      name: 'compare',
      async run() {
        const differing = differences(before, await takeInventory(datastore))
        if (differing.length === 0) return `${before.size} names, contents, modes and times are equal`
        throw new StepFailed(`${differing.length} differ, the first is ${differing[0]}`)
      },
    },
  ]
}

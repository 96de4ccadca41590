import { randomInt } from 'node:crypto'
import { type Backup, backUp } from './backup/backup.js'
import { restoreJournal } from './backup/restore.js'
import { changeJournal } from './journal/change.js'
import { digestJournal } from './journal/digest.js'
import { differences, type Inventory, takeInventory } from './journal/inventory.js'
import { makeJournal, wipeJournal } from './journal/journal.js'
import { datastoreOf } from './journal/layout.js'
import { registerLaptop } from './laptop.js'
import type { Server } from './server.js'

export interface DemoOptions {
  /** Where registration listens. */
  readonly server: Server
  /** Of the Journal. */
  readonly entries: number
  /** Told before each wait for a busy server. */
  readonly waiting?: ((seconds: number) => void) | undefined
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

/**
 * A laptop's day against a running server, as steps to be taken in order: register, make a Journal, back it up,
 * change it, back it up twice (the second time there is nothing to send), lose all, restore, compare.
 * @param home a directory of its own, empty at first
 */
export function laptopsDay(home: string, { server, entries, waiting }: DemoOptions): Step[] {
  const datastore = datastoreOf(home)
  let before: Inventory = new Map()

  const backup = async (expected: 'sent' | 'unchanged'): Promise<string> => {
    // The name that the school has for its server need not be known here.
    const result = await backUp(home, { server: hostOf(server), waiting })
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
        const { identity, result } = await registerLaptop(home, { server, xo: true, nick: 'Demo' })
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
    { name: 'back up again', run: () => backup('unchanged') },
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
        const result = await restoreJournal(home, { server: hostOf(server) })
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

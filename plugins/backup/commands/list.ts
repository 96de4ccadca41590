import type { Call, Column } from '../../../core/api.js'
import { adviceOn } from '../../id/public.js'
import type { JournalStatus } from '../public.js'
import type { Desk } from './desk.js'
import { age, amount } from './text.js'

/** `backup list`: everyone, who has waited longest for a good backup first. */
export async function list({ journals, ledger, users }: Desk, call: Call): Promise<void> {
  const rows = (await journals.list()).sort((a, b) => ((a.lastGood ?? '') < (b.lastGood ?? '') ? -1 : 1))
  const now = new Date()
  const columns: readonly Column<JournalStatus>[] = [
    { title: 'UID', text: ({ uid }) => uid.slice(0, 12) },
    { title: 'NICKNAME', text: ({ nickname }) => nickname },
    { title: 'SERIALS', text: ({ serials }) => serials.slice(-3).reverse().join(' ') },
    { title: 'LAST GOOD', text: ({ lastGood }) => (lastGood === null ? 'never' : age(lastGood, now)) },
    { title: 'SNAPSHOTS', text: ({ snapshots }) => String(snapshots) },
    { title: 'SIZE', text: ({ bytes }) => amount(bytes) },
    { title: 'FLAGS', text: ({ flags }) => flags.join(' ') },
  ]
  call.list(rows, columns)
  for (const { uid, flags } of rows) {
    for (const flag of flags) {
      const noted = ledger.get(uid)?.flags.find((one) => one.flag === flag)?.why
      const why = (await registered(users, uid, flag)) ?? noted
      call.note(`${uid.slice(0, 12)} ${flag}: ${why ?? 'see "backup snapshots"'}${adviceFor(flag, uid)}`)
    }
  }
}

/** What registration says of a flag: it names the serials. */
async function registered(users: Desk['users'], uid: string, flag: string): Promise<string | undefined> {
  const learner = await users.byUid(uid)
  const own = learner?.flags.find((one) => one === flag)
  return learner && own && adviceOn(own, learner)
}

function adviceFor(flag: string, uid: string): string {
  const who = uid.slice(0, 12)
  if (flag === 'mass-change')
    return `; "backup restore ${who} --to ..." gives what was there before, "backup release ${who}" says that all is well`
  if (flag === 'unconfirmed') return '; let the laptop back up again'
  return flag === 'incomplete' ? '; look after these files on the laptop: all others are kept' : ''
}

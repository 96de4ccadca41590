import { type Call, RequestError } from '../../../core/api.js'
import type { Desk } from './desk.js'
import { learnerOf } from './learner.js'
import { telling } from './progress.js'
import { amount } from './text.js'

type Restore = Pick<Call, 'print' | 'note' | 'signal'> & {
  args: { user: string }
  options: { at: string; entry: string; to: string }
}

/** `backup restore USER --to PATH`: writes a Journal, or an entry of it. */
export async function restore(desk: Desk, call: Restore): Promise<void> {
  const { args, options, print, note } = call
  if (options.to === '') {
    throw new RequestError('USAGE', 'restore needs --to', {
      hint: 'name a new directory, a file that ends in .xob for a whole Journal, or one in .xoj with --entry',
    })
  }
  const uid = await learnerOf(desk, args.user)
  await desk.keeper.settled(uid)
  const given = {
    uid,
    to: options.to,
    at: options.at === '' ? undefined : options.at,
    entry: options.entry === '' ? undefined : options.entry,
  }
  const { snapshot, files, bytes, skipped } = await desk.archivist.run(
    'restore',
    given,
    telling(call, 'restored'),
  )
  for (const path of skipped) note(`left out: ${path} is a link that leads out of the Journal`)
  desk.log.info({ uid, snapshot, entry: given.entry }, `restored ${snapshot} of ${uid} for an operator`)
  const what = given.entry === undefined ? `${files} files, ${amount(bytes)}` : `entry ${given.entry}`
  print(`${options.to}: ${what} of snapshot ${snapshot}`)
  const [holding] = await desk.archivist.run('holdings', { uids: [uid] })
  if (given.at === undefined && holding?.braked.includes(snapshot) === true) {
    note('this is what was there before most of the Journal went; --at latest gives the newest')
  }
}

import type { Chapter } from '../../core/api.js'
import type { Admission } from './admission/admission.js'
import { type Ledger, shareOf } from './session/ledger.js'
import type { LiveSessions } from './session/sessions.js'
import type { Transport } from './transport/transport.js'

/** Flags that are named one by one; more are counted. */
const named = 20

/** Backup's part of `sugar-server status`. */
export function statusOf(
  admission: Admission,
  sessions: LiveSessions,
  ledger: Ledger,
  transport: Transport | undefined,
  confined: string,
): Chapter {
  const { slots, running, reserved, inLine, waiting, oldestWait, asked } = admission.status()
  const flagged = ledger
    .all()
    .flatMap(({ uid, nickname, flags }) =>
      flags.map(({ flag, since, why }) => ({ uid, nickname, flag, since, why })),
    )
  const visits = sessions.visits.map(({ caller, what, since }) => ({
    uid: caller.uid,
    nickname: caller.nickname,
    address: caller.address,
    what,
    since: since.toISOString(),
  }))
  const lines = [
    `transport  ${transport?.where ?? 'not open'}, ${transport?.connections ?? 0} connections`,
    `confined   ${confined}`,
    `slots      ${running} of ${slots} taken, ${reserved} kept for laptops that were told to come, ${inLine} connected and in line`,
    `waiting    ${waiting} laptops were told to come again${waiting > 0 ? `; one waits for ${oldestWait} s` : ''}`,
    `asked      ${
      Object.entries(asked)
        .map(([kind, count]) => `${kind} ${count}`)
        .join(', ') || 'nobody has'
    }`,
    ...visits.map(
      ({ uid, nickname, what, since }) =>
        `now        ${uid.slice(0, 12)} ${nickname}: ${what} since ${since}`,
    ),
    ...flagged
      .slice(0, named)
      .map(({ uid, nickname, flag, why }) => `flag       ${uid.slice(0, 12)} ${nickname}: ${flag}: ${why}`),
  ]
  if (flagged.length > named) lines.push(`flag       and ${flagged.length - named} more: see "backup list"`)
  return {
    lines,
    facts: {
      confined,
      slots,
      running,
      reserved,
      inLine,
      waiting,
      oldestWait,
      asked,
      sessions: visits,
      flagged,
    },
  }
}

/** Backup's part of `sugar-server explain`. */
export function chapterOf(uid: string, admission: Admission, ledger: Ledger): Chapter {
  const doc = ledger.get(uid)
  const { lastGood, files = 0, flags = [] } = doc ?? {}
  const bytes = doc === undefined ? 0 : shareOf(doc)
  return {
    lines: [
      `backup     last good ${lastGood ?? 'never'}, ${files} files, ${Math.round(bytes / 1e6)} MB`,
      `           ${admission.explain(uid)}`,
      ...flags.map(({ flag, since, why }) => `flag       ${flag} since ${since}: ${why}`),
    ],
    facts: { lastGood: lastGood ?? null, bytes, files, flags, admission: admission.explain(uid) },
  }
}

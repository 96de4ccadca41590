import '../../../support/unprivileged.js'
import { chmodSync, existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { over, push, school, uid } from '../../../support/backup/live-sessions.js'
import { put, sentJournal } from '../../../support/backup/test-archive.js'

t.test(
  'a folder that shuts everybody out keeps neither turn nor slot from those who come next',
  async (t) => {
    const { layout, slots, open, end, snapshots } = await school(t)
    const journal = await sentJournal(layout, uid, 5, 0.1)
    await end(await open(push), ['>f+++++++++ 5', over])
    put(join(journal, 'shut'), 'file', 'x')
    chmodSync(join(journal, 'shut'), 0o555)
    await end(await open(push), ['cd+++++++++ 5', over])
    put(journal, 'later', 'x')
    await end(await open(push), ['>f+++++++++ 5', over])
    const [, shut] = await snapshots()
    const session = await open(`--sender -ltr . snapshots/${shut}/`)
    t.ok(existsSync(join(session.cwd, 'snapshots', shut ?? '', 'shut', 'file')))
    t.equal(slots.figures().running, 1)
    await end(session, [])
    t.equal(slots.figures().running, 0)
    t.same(readdirSync(layout.scratch), [])
    await t.rejects(open('--sender -ltr . snapshots/2001-01-01/'), { code: 'NOT_FOUND', hint: /latest/ })
    t.equal(slots.figures().running, 0)
    t.same(readdirSync(layout.scratch), [])
    chmodSync(join(journal, 'shut'), 0o755)
  },
)

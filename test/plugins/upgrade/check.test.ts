import { join } from 'node:path'
import t from 'tap'
import { cli, freePorts } from '../../support/core/server-process.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { equipped, schoolServer } from '../../support/upgrade/upgrade-server.js'

t.setTimeout(300_000)

/** Megabytes that no disk has. */
const huge = '999999999'

t.test('check says which numbers no disk here can hold, and what to set instead', async (t) => {
  if (!equipped(t)) return
  const home = await temporaryDirectory(t)
  const check = (...more: string[]) => {
    const plugins = ['--plugins', 'rsync,upgrade', '--rsync-port', '0', ...freePorts]
    return cli(t, ['check', '--root', join(home, 'root'), ...plugins, ...more], { home })
  }
  t.match(await check(), { code: 0, out: /all is well/ }, 'the limit that nobody set is as far as it goes')
  t.match(await check('--upgrade-keep-free', huge), {
    code: 1,
    out: /PROBLEM {3}upgrade-keep-free \(the command line\): 1000\.0 TB are to stay free, and the disk of \S+ has [\d.]+ \wB: no build is ever fetched\n {10}set upgrade-keep-free to [1-9]\d*\b.*\n1 problem/,
  })
  const { code, out } = await check('--upgrade-limit', huge)
  t.equal(code, 1)
  t.match(
    out,
    /upgrade-limit \(the command line\): 1000\.0 TB of builds, and 1\.0 GB that stay free \(upgrade-keep-free\), /,
  )
  const [, most] = /\n {10}set upgrade-limit to (\d+) or less\n1 problem/.exec(out) ?? []
  t.match(await check('--upgrade-limit', most ?? ''), { code: 0 }, 'that can be held')
  t.match(await check('--upgrade-limit', String(Number(most) + 100)), { code: 1 })
})

t.test('a start says so, too, and goes on', async (t) => {
  if (!equipped(t)) return
  const school = await schoolServer(t, '/nonexistent', ['--upgrade-limit', huge])
  t.match(
    school.log().filter(({ plugin, msg }) => plugin === 'upgrade' && /upgrade-limit/.test(String(msg))),
    [{ level: /warn|40/, msg: /1000\.0 TB of builds/, hint: /^set upgrade-limit to \d+ or less$/ }],
  )
  t.match(await school.upgrade('list'), { code: 0 })
})

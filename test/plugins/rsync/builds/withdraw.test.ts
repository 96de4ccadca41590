import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { definePlugin } from '../../../../core/api.js'
import { Builds } from '../../../../plugins/rsync/public.js'
import { cli, startServer } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { pack } from '../../../support/rsync/packed-builds.js'
import { openHouse } from '../../../support/rsync/rsync-server.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

/** Keeps what it is told to keep. */
const keeping = (kept: Map<string, string>, release: { release?: () => void }) =>
  definePlugin({
    name: 'keeping',
    api: 1,
    summary: 'Keeps builds.',
    needs: { builds: Builds },
    start({ needs: { builds } }) {
      builds.keep(async () => undefined)
      release.release = builds.keep(async (name) => kept.get(name))
    },
  })

t.test('an operator withdraws no build that another plugin keeps, and is told why', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'setfattr', 'attr')) return
  const kept = new Map([['885', 'it is sticky; "upgrade unstick 885" lets it go']])
  const hold: { release?: () => void } = {}
  const house = await openHouse(t, {}, ['rsync', keeping(kept, hold)])
  const packed = join(house.root, 'rsync', 'xobuilds-packed')
  for (const name of ['885', '886', '887']) await pack(packed, name)
  t.match(await house.command(['rsync', 'refresh']), { out: /3 published/ })
  const withdraw = (name: string) => house.command(['rsync', 'withdraw'], { args: { name } })
  const isThere = (name: string) => existsSync(join(house.root, 'rsync', 'pub', 'builds', name, 'contents'))

  for (const name of ['885', 'build-885']) {
    const message = 'build-885 stays: it is sticky; "upgrade unstick 885" lets it go'
    t.match(await withdraw(name), { ended: { exit: 77, code: 'REFUSED', message } })
  }
  t.ok(isThere('885'))
  t.equal((await house.rsync('--list-only', '::build-885/contents')).code, 0)
  t.match(await withdraw('886'), { ended: { exit: 0 } }, 'what nobody keeps goes')
  t.notOk(isThere('886'))
  kept.delete('885')
  t.match(await withdraw('885'), { ended: { exit: 0 } })
  t.notOk(isThere('885'))
  kept.set('887', 'it is kept')
  hold.release?.()
  t.match(await withdraw('887'), { ended: { exit: 0 } }, 'nobody is asked who has taken it back')
  t.notOk(isThere('887'))
})

t.test('the log says of each removal once what it was, how large, and why', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'setfattr', 'attr')) return
  const root = join(await temporaryDirectory(t), 'root')
  const args = ['--host', '127.0.0.1', '--httpd-port', '0', '--rsync-port', '0', '--plugins', 'rsync']
  const server = await startServer(t, { root, args })
  const packed = join(root, 'rsync', 'xobuilds-packed')
  for (const name of ['885', '886']) await pack(packed, name)
  t.match(await cli(t, ['rsync', 'refresh', '--root', root]), { out: /2 published/ })
  const [one, other] = JSON.parse((await cli(t, ['rsync', 'list', '--json', '--root', root])).out)
  t.match(await cli(t, ['rsync', 'withdraw', '885', '--root', root]), { code: 0 })
  await rm(join(packed, '886.name'))
  t.match(await cli(t, ['rsync', 'refresh', '--root', root]), { out: /886 withdrawn/ })
  const gone = server.log().filter(({ msg }) => msg.includes('remove'))
  t.match(gone, [
    { build: '885', bytes: one.bytes, msg: 'removed build-885: withdrawn by an operator' },
    { build: '886', bytes: other.bytes, reason: 'there is no 886.name any more' },
  ])
  t.equal(gone.length, 2)
  t.equal((await server.stop()).code, 0)
})

import t from 'tap'
import { boot } from '../../../core/testing.js'
import id from '../../../plugins/id/plugin.js'
import { hangUp, laptop, listed, register, uidOf } from '../../support/id/registering-laptops.js'

t.teardown(hangUp)

t.test('two XOs with one key are served, flagged, and told apart by what the flag says', async (t) => {
  const house = await boot({ plugins: [id] })
  t.teardown(() => house.dispose())
  const url = await house.url('id')
  const { pubkey } = laptop(1)
  const fede = laptop(1, { serial: 'SHC00400661' })
  const gina = laptop(2, { serial: 'SHC00400662', pubkey })
  const uid = uidOf(fede)
  t.match(await register(url, fede), { success: 'OK' })
  t.strictSame((await listed(house)).get(uid)?.flags, [])
  t.match(await register(url, gina), { success: 'OK' }, 'nobody is locked out')
  t.strictSame((await listed(house)).get(uid)?.flags, ['shared-key'])
  const told = /SHC00400661 and SHC00400662 have the same key.*owner\.key.*id remove/
  t.match((await house.command(['id', 'list'])).err, told)
  t.match((await house.house.explain('SHC00400662')).id?.lines.join('\n'), told)

  // What it says to do.
  const fresh = laptop(3, { serial: 'SHC00400662' })
  t.match(await register(url, fresh), { success: 'OK' })
  t.equal((await house.command(['id', 'remove'], { args: { user: uid } })).ended.exit, 0)
  t.match(await register(url, fede), { success: 'OK' })
  const after = await listed(house)
  t.match(
    [after.get(uid), after.get(uidOf(fresh))],
    [
      { serials: ['SHC00400661'], flags: [] },
      { serials: ['SHC00400662'], flags: [] },
    ],
  )
})

t.test('serials that many machines have, or that are made up, say nothing of a second one', async (t) => {
  const house = await boot({ plugins: [id] })
  t.teardown(() => house.dispose())
  const url = await house.url('id')
  const { pubkey } = laptop(1)
  const serials = [
    'SHC00400661',
    'SHF00000000',
    'SHC00000000',
    'QWX96073951',
    'ABC96073952',
    'PC-1',
    'SHC0040066',
  ]
  for (const serial of serials) t.match(await register(url, laptop(1, { serial, pubkey })), { success: 'OK' })
  t.strictSame((await listed(house)).get(uidOf({ pubkey }))?.flags, [])
})

import t from 'tap'
import { until } from '../../support/core/server-process.js'
import { facts } from '../../support/upgrade/fake-rsync.js'
import { at, school, tree } from '../../support/upgrade/interrupted-fetch.js'
import { type File, packed } from '../../support/upgrade/upstream.js'

t.test('one address has eight names looked for at a time that nobody knows', async (t) => {
  const silent: (() => void)[] = []
  const names = Array.from({ length: 10 }, (_, index) => `made-up-${index}`)
  const files = Object.fromEntries(
    names.map((name): [string, File] => [
      `/${name}-tree.tar.xz`,
      { bytes: tree, head: (_, response) => void silent.push(() => response.writeHead(404).end()) },
    ]),
  )
  const { house, rsync, from } = await school(t, { ...files, ...packed('885', tree) })
  await rsync.put('602')
  const under = async () => ((await facts(house)) as { under: { name: string; waiting: number }[] }).under
  const ask = (name: string, address = '10.0.0.1') => {
    const asked = rsync.ask(`build-${name}`, { address })
    asked.catch(() => undefined)
    return asked
  }
  const first = names.slice(0, 8).map((name) => ask(name))
  const tooMany = {
    code: 'TOO_MANY',
    message:
      'build-made-up-8 must wait: 8 others are being looked for already that this address asked for; try again in about 1 minute',
  }
  await t.rejects(ask('made-up-8'), tooMany)
  t.equal((await under()).length, 8)
  ask('made-up-0')
  t.match(await under(), [{ name: 'made-up-0', waiting: 2 }], 'whoever joins is let in')
  t.equal(await ask('602'), true, 'so is who asks for what is here')
  ask('made-up-8', '10.0.0.2')
  ask('made-up-8')
  t.match((await under()).at(-1), { name: 'made-up-8', waiting: 2 }, 'another address has its own')
  await until(() => silent.length === 4, 'the source to be asked')
  for (const answer of silent.splice(0)) answer()
  await t.rejects(Promise.race(first), { message: /at none of the sources/ })
  await t.rejects(ask('made-up-0'), { message: /at none of the sources/ }, 'what is known is told')
  const found = ask('885')
  await until(async () => {
    for (const answer of silent.splice(0)) answer()
    return from.count('GET', at) === 1
  }, 'its place')
  t.equal(await found, true)
})

t.test('laptops of one IPv6 network are one address', async (t) => {
  const head: File['head'] = () => undefined
  const names = Array.from({ length: 9 }, (_, index) => `made-up-${index}`)
  const files = Object.fromEntries(names.map((name) => [`/${name}-tree.tar.xz`, { bytes: tree, head }]))
  const { rsync } = await school(t, files)
  const asked = names.map((name, index) => rsync.ask(`build-${name}`, { address: `2001:db8::${index}` }))
  await t.rejects(Promise.all(asked), { code: 'TOO_MANY' })
})

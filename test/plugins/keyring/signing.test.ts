import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  checkDelegation,
  checkDeveloperKey,
  checkLease,
  checkRtcReset,
  checkStick,
} from '../../../sugaroid/index.js'
import { made } from '../../support/keyring/key-files.js'
import { compact, csv, give, home, inDays, laptop } from '../../support/keyring/keyring-server.js'
import { known, second, third, xo } from '../../support/keyring/open-keyring.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

t.test('leases for a list of laptops, as lines and as a bundle, boot each of them', async (t) => {
  const its = await home(t, { 'keyring-role': 'authority' })
  await give(its, 'lease', 'lease')
  const until = inDays(1)
  const plain = await its.run('lease', { file: csv, options: { until } })
  t.equal(plain.exit, 0, plain.err)
  t.match(plain.err, `3 leases until ${compact(until)}T235959Z, 0 refused`)
  for (const one of [xo, second, third])
    t.match(checkLease(plain.out, laptop(one, 'lease')), { verdict: /^valid$/ })
  const to = join(temporaryDirectorySync(t), 'lease.sig')
  const bundle = await its.run('lease', {
    file: csv,
    options: { until: `${compact(until)}T120000Z`, bundle: 'yes', to },
  })
  t.equal(bundle.exit, 0, bundle.err)
  t.equal(statSync(to).mode & 0o777, 0o600)
  for (const one of [xo, second, third])
    t.match(checkStick(readFileSync(to), laptop(one, 'lease')), {
      verdict: /^valid$/,
      expiry: `${compact(until)}T120000Z`,
    })
})

t.test('what was typed wrongly is said with what to type', async (t) => {
  const its = await home(t)
  await give(its, 'lease', 'lease')
  const ask = (until: string) => its.run('lease', { file: csv, options: { until } })
  t.match(await ask(''), { exit: 64, err: /--until 2027-03-31/ })
  t.match(await ask('soon'), { exit: 64, err: /"soon" is no time/ })
  t.match(await ask('2026-02-30'), { exit: 64, err: /is no time/ })
  t.match(await ask('2007-01-01'), { exit: 64, err: /has passed already/ })
  t.match(await ask('00000000T000000Z'), { exit: 64, err: /is no time/ })
  t.match(await its.run('lease', { options: { until: inDays(1) } }), { exit: 66 })
  t.match(await its.run('rtcreset', { file: csv }), { exit: 64, err: /--current/ })
  const reset = { current: '20270101T000000Z', nonce: '12' }
  t.match(await its.run('rtcreset', { file: csv, options: reset }), { exit: 64, err: /names 3 laptops/ })
  t.match(await its.run('delegate', { file: csv }), { exit: 77, err: /keyring-role = authority/ })
  t.match(await its.run('devkey', { file: csv }), { exit: 77, err: /keyring-role = authority/ })
})

t.test('lines of a list that name no laptop are refused, and the others get their lease', async (t) => {
  const its = await home(t)
  await give(its, 'lease', 'lease')
  const list = `serial,uuid\nSHC1,x\n${xo.serial.toLowerCase()},"${xo.uuid}"\n`
  const { exit, out, err } = await its.run('lease', { file: list, options: { until: inDays(1) } })
  t.equal(exit, 65)
  t.match(err, /refused: line 2 has no serial/)
  t.match(checkLease(out, laptop(xo, 'lease')), { verdict: /^valid$/ })
})

t.test('a list that names no laptop is a failure, and not an empty success', async (t) => {
  const its = await home(t)
  await give(its, 'lease', 'lease')
  const to = join(temporaryDirectorySync(t), 'lease.sig')
  for (const file of ['', 'serial,uuid\n'])
    t.match(await its.run('lease', { file, options: { until: inDays(1), to } }), {
      exit: 65,
      err: /the list names no laptop/,
    })
})

t.test('an authority delegates to a school, and the school signs until then', async (t) => {
  const authority = await home(t, { 'keyring-role': 'authority' })
  for (const role of ['lease', 'oats']) await give(authority, role, role)
  const school = await home(t)
  await give(school, 'lease', 'lease', 'public')
  await give(school, 'server', 'server')
  const folder = temporaryDirectorySync(t)
  const key = join(folder, 'server.public')
  writeFileSync(key, made('server.public'))
  const list = `Escuela 1,${xo.serial},${xo.uuid}\nEscuela 2,${second.serial},${second.uuid}\nescuela 1 ,${third.serial},${third.uuid}\n`
  const until = inDays(100)
  const options = { key, until, school: 'Escuela 1' }
  const delegate = (more: Record<string, string> = {}, file = list) =>
    authority.run('delegate', { file, options: { ...options, ...more } })
  const first = await delegate()
  t.equal(first.exit, 0, first.err)
  t.match(first.err, '2 signed until')
  for (const one of [xo, third])
    t.match(checkDelegation(first.out, laptop(one, 'lease'), known('server')), { verdict: /^valid$/ })
  t.notMatch(first.out, second.serial)
  const again = await delegate()
  t.equal(again.out, first.out, 'what is unchanged is given again as it was')
  t.match(again.err, '0 signed')
  t.match(again.err, `2 unchanged and fresh, of which the first ends at ${compact(until)}T235959Z`)
  t.match(await delegate({ school: 'Escuela 9' }), { exit: 66, err: /names no laptop of "Escuela 9"/ })
  t.match(await delegate({}, csv), { exit: 66, err: /names no schools/ })
  t.match(await delegate({ key: '' }), { exit: 64, err: /--key/ })
  t.match(await delegate({ key: join(folder, 'none') }), { exit: 66, err: /cannot be read \(ENOENT\)/ })
  t.match(await delegate({ key: folder }), { exit: 66 })
  writeFileSync(join(folder, 'server.key01'), made('server.key01'))
  t.equal((await delegate({ key: join(folder, 'server.key01') })).out, first.out, 'key01 texts are keys, too')
  const yearly = await delegate({ until: '', school: '', role: 'oats' })
  t.match(yearly.err, '3 signed until', 'without a time it is a year')

  const taken = await school.run('take-delegations', { file: `${first.out}hello\n` })
  t.match(taken, { exit: 65, out: /2 delegations taken, 0 as they were, 1 refused/, err: /refused: line 3 / })
  const listed = await school.run('delegations', { json: true })
  t.match(JSON.parse(listed.out), [{ serial: xo.serial, role: 'lease', note: '' }, { serial: third.serial }])
  const lease = await school.run('lease', { file: csv, options: { until: inDays(10) } })
  t.equal(lease.exit, 65)
  t.match(lease.err, new RegExp(`refused: ${second.serial}: there is no lease key here, and no delegation`))
  for (const one of [xo, third]) t.match(checkLease(lease.out, laptop(one, 'lease')), { verdict: /^valid$/ })
  t.match((await school.run('lease', { file: csv, options: { until: inDays(101) } })).err, /is beyond/)
  t.notMatch(lease.err, /another uuid/)
  const small = `${xo.serial},${xo.uuid.toLowerCase()}\n`
  const other = `${xo.serial}: the list has another uuid than its delegation`
  t.match((await school.run('lease', { file: small, options: { until: inDays(10) } })).err, other)
  const reset = { current: '19700101T000000Z', nonce: '1' }
  t.match((await school.run('rtcreset', { file: small, options: reset })).err, other)

  const { lines, all } = await school.told()
  t.match(lines.join('\n'), `signs leases for 2 laptops with delegations; the first ends ${until}`)
  const story = await school.house.house.explain(xo.serial)
  t.match(story.keyring?.lines, [new RegExp(`for leases, from .* until ${until}`)])
  t.equal((await school.house.house.explain(second.serial)).keyring, undefined)
  for (const text of [all, JSON.stringify(story), listed.out, taken.err, lease.err, lease.out])
    for (const { uuid } of [xo, second, third]) t.notMatch(text, uuid)

  const mark = (state: string) => school.run('mark', { args: { key: known('server').id, state } })
  t.match((await mark('retired')).err, /2 laptops have no delegation for lease that counts any more/)
  t.notMatch((await mark('active')).err, /have no delegation/)
})

t.test('the clock of a laptop is set for a list with that laptop alone', async (t) => {
  const its = await home(t)
  await give(its, 'lease', 'lease')
  const file = `${xo.serial},${xo.uuid}\n`
  const { out, exit, err } = await its.run('rtcreset', {
    file,
    options: { current: '20000101T000312Z', nonce: '135' },
  })
  t.equal(exit, 0, err)
  const asked = { clock: '20000101T000312Z', nonce: '0000000135' }
  t.match(checkRtcReset(out, laptop(xo, 'lease'), asked), { verdict: /^valid$/ })
})

t.test('developer keys are signed where somebody switched that on, and nowhere else', async (t) => {
  const off = await home(t, { 'keyring-role': 'authority' })
  await give(off, 'developer', 'developer')
  t.match(await off.run('devkey', { file: csv }), { exit: 77, err: /keyring-developer = yes/ })
  const on = await home(t, { 'keyring-role': 'authority', 'keyring-developer': 'yes' })
  t.match(await on.run('devkey', { file: csv }), {
    exit: 65,
    err: /there is no active key to sign as developer/,
  })
  await give(on, 'developer', 'developer')
  const { out, exit, err } = await on.run('devkey', { file: csv })
  t.equal(exit, 0, err)
  t.equal(out.split('\n').length, 4)
  for (const one of [xo, second, third])
    t.match(checkDeveloperKey(out, laptop(one, 'developer')), { verdict: /^valid$/ })
})

t.test('of the keys of a school those that sign are shown, the older one for its delegations', async (t) => {
  const its = await home(t, { 'keyring-role': 'authority' })
  await give(its, 'lease', 'lease')
  const key = join(temporaryDirectorySync(t), 'server.public')
  writeFileSync(key, made('server.public'))
  const { out } = await its.run('delegate', { file: csv, options: { key } })
  const school = await home(t)
  await give(school, 'lease', 'lease', 'public')
  await give(school, 'server', 'server')
  t.equal((await school.run('take-delegations', { file: out })).exit, 0)
  await give(school, 'server', 'region')
  const row = (name: string, signs: string) =>
    new RegExp(`^server +${known(name).id.slice(0, 12)} +\\w+ +${signs} +\\d{4}-`, 'm')
  const shown = await school.run('list')
  t.match(shown.out, row('server', 'for 3 laptops'))
  t.match(shown.out, row('region', 'yes'))
  t.match(JSON.parse((await school.run('list', { json: true })).out), [
    { role: 'lease', signs: false },
    { id: known('server').id, signs: true, laptops: 3 },
    { id: known('region').id, signs: true, laptops: 0 },
  ])
  await school.run('mark', { args: { key: known('server').id, state: 'retired' } })
  t.match((await school.run('list')).out, row('server', 'no'))
})
